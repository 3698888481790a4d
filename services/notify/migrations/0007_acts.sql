-- Who did what with an alert, by which way, and what came of it.
ALTER TABLE alert_event
    ADD COLUMN way       text CHECK (way IN ('page', 'link', 'task', 'webhook')),  -- how a person's act came to us
    ADD COLUMN person_id text,          -- id of that person in the on-call document, where it names them
    ADD COLUMN target    text,          -- handed over: id of the person or team that has it now
    ADD COLUMN until     timestamptz,   -- snoozed: until then
    ADD COLUMN reason    text;          -- closed: why the urgency was not followed, a code; `detail` is the outcome

-- Tenants with alerts that nobody acknowledged or that somebody snoozed, or with messages that nobody has had: where the
-- reconciler looks.
CREATE OR REPLACE FUNCTION tenants_waiting() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT a.tenant_id FROM alert AS a WHERE a.state IN ('requested', 'received', 'on-hold')
    UNION
    SELECT d.tenant_id FROM delivery AS d WHERE d.state = 'pending'
$$;
SELECT sees_all_tenants('tenants_waiting()');

-- Counts and ages of all tenants together, for /metrics. A snoozed alert waits for somebody too.
CREATE OR REPLACE FUNCTION open_alerts() RETURNS TABLE (
    urgency text, state text, number bigint, oldest_s double precision, overdue_s double precision
) LANGUAGE sql STABLE AS $$
    SELECT a.urgency, a.state, count(*), extract(epoch FROM now() - min(a.opened_at))::float8,
           greatest(coalesce(extract(epoch FROM now() - min(a.due_at)), 0), 0)::float8
    FROM alert AS a WHERE a.state IN ('requested', 'received', 'on-hold') GROUP BY a.urgency, a.state
$$;
SELECT sees_all_tenants('open_alerts()');

-- worklist, metrics: what waits for somebody, snoozed or not
DROP INDEX alert_open;
CREATE INDEX alert_open ON alert (tenant_id, opened_at) WHERE state IN ('requested', 'received', 'on-hold');
