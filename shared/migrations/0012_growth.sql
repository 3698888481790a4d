-- What keeps the cost of a day's work the same after years of them.

-- work that was set aside (jobs.sql, measure): nothing, on most days
CREATE INDEX job_dead ON job (kind, due_at) WHERE state = 'dead';

-- Rows that live for seconds: cleaned up after some thousand of them, however many others the table holds, so that whoever
-- takes the oldest does not step over the dead. (The outbox has had this from its first day.)
ALTER TABLE job SET (autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_scale_factor = 0.01,
                     autovacuum_analyze_threshold = 10000, autovacuum_analyze_scale_factor = 0.01);
ALTER TABLE audit_unsealed SET (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0);

-- A sample of a large table sees most values once and takes them for a few thousand; then a patient seems to have hundreds
-- of responses, and reading all in their order seems cheaper than asking for the patient's. Nearly each resource has values
-- and an id that no other has.
ALTER TABLE search_value ALTER COLUMN value SET (n_distinct = -0.2), ALTER COLUMN id SET (n_distinct = -0.1);
ALTER TABLE search_range ALTER COLUMN id SET (n_distinct = -0.5);

-- Tables that are only written to: looked at by the planner after every fiftieth part, so that what came lately is known.
ALTER TABLE search_value SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE search_range SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE resource SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
