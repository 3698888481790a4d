-- No index looks at a job's state any more, but at what follows from it and stays as it is when a job is claimed: a claim
-- then changes no index, which was most of what it cost. The room that pages keep is for the claimed version of each row.
ALTER TABLE job SET (fillfactor = 70);
ALTER TABLE job
    ADD COLUMN is_open boolean NOT NULL GENERATED ALWAYS AS (state IN ('pending', 'running')) STORED,
    ADD COLUMN set_aside boolean NOT NULL GENERATED ALWAYS AS (state = 'dead') STORED;
DROP INDEX job_due;
DROP INDEX job_due_name;
DROP INDEX job_finished;
DROP INDEX job_dead;
-- claim of due work; reconciler's look for expired leases; figures of what is open
CREATE INDEX job_due ON job (kind, due_at) WHERE is_open;
-- which queues whose names begin alike have due work (jobs.sql, due_kinds): each recipient of a message has a queue of its own
CREATE INDEX job_due_name ON job (split_part(kind, '/', 1), due_at) WHERE is_open;
-- pruning of finished work
CREATE INDEX job_finished ON job (finished_at) WHERE finished_at IS NOT NULL;
-- work that was set aside (jobs.sql, measure): nothing, on most days
CREATE INDEX job_set_aside ON job (kind, due_at) WHERE set_aside;
