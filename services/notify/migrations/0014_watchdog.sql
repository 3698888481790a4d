-- The tenant of the watchdog (shared/ids.py, WATCHDOG_TENANT). No client acts for it, and nobody looks at it.
CREATE FUNCTION watchdog_tenant() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'c5c8bdb6-87b3-5c69-a05b-87245b5f2086'::uuid;

-- An alert is synthetic if, and only if, it is of that tenant, whatever is asked for: no real one can become one.
CREATE FUNCTION synthetic_is_of_watchdog() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.synthetic := NEW.tenant_id = notify.watchdog_tenant();
    RETURN NEW;
END $$;
CREATE TRIGGER synthetic_is_of_watchdog BEFORE INSERT ON alert FOR EACH ROW EXECUTE FUNCTION synthetic_is_of_watchdog();

-- A round: from its response to the acknowledgement of its alert.
CREATE TABLE watchdog_round (
    id       uuid PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    full_at  timestamptz,           -- when its alert was acknowledged
    told_at  timestamptz            -- when somebody outside heard of it
);
-- the newest round, the newest full one
CREATE INDEX watchdog_round_began ON watchdog_round (began_at);

-- It acknowledges as people do, and is none of them.
ALTER TABLE alert_event
    DROP CONSTRAINT alert_event_way_check,
    ADD CONSTRAINT alert_event_way_check CHECK (way IN ('page', 'link', 'task', 'webhook', 'watchdog'));

-- The ledger is never changed, but for what the watchdog left in it: that is forgotten.
DROP TRIGGER alert_event_append_only ON alert_event;
CREATE TRIGGER alert_event_append_only BEFORE UPDATE OR DELETE ON alert_event
    FOR EACH ROW WHEN (OLD.tenant_id <> watchdog_tenant()) EXECUTE FUNCTION refuse_change();

-- Forget what rounds left behind longer ago than that: alerts of the watchdog's tenant with all that belongs to them, and
-- rounds but for the newest full one. Tables with an alert_id are found by it, so that none is forgotten here.
CREATE FUNCTION forget_watchdog(kept interval) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    old   uuid[] := ARRAY(SELECT a.id FROM alert AS a
                          WHERE a.tenant_id = watchdog_tenant() AND a.opened_at < now() - kept LIMIT 500);
    found name;
BEGIN
    FOR found IN
        SELECT c.relname FROM pg_class AS c
        JOIN pg_attribute AS t ON t.attrelid = c.oid AND t.attname = 'tenant_id' AND NOT t.attisdropped
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'alert_id' AND NOT a.attisdropped
        WHERE c.relnamespace = 'notify'::regnamespace AND c.relkind = 'r'
    LOOP
        EXECUTE format('DELETE FROM %I WHERE tenant_id = watchdog_tenant() AND alert_id = ANY ($1)', found) USING old;
    END LOOP;
    DELETE FROM alert AS a WHERE a.tenant_id = watchdog_tenant() AND a.id = ANY (old);
    DELETE FROM watchdog_round AS r WHERE r.began_at < now() - kept AND r.id IS DISTINCT FROM (
        SELECT n.id FROM watchdog_round AS n WHERE n.full_at IS NOT NULL ORDER BY n.began_at DESC LIMIT 1);
END $$;
SELECT sees_all_tenants('forget_watchdog(interval)');

-- Counts and ages of all tenants together, for /metrics; the watchdog's have a number of their own.
CREATE OR REPLACE FUNCTION open_alerts() RETURNS TABLE (
    urgency text, state text, number bigint, oldest_s double precision, overdue_s double precision
) LANGUAGE sql STABLE AS $$
    SELECT a.urgency, a.state, count(*), extract(epoch FROM now() - min(a.opened_at))::float8,
           greatest(coalesce(extract(epoch FROM now() - min(a.due_at)), 0), 0)::float8
    FROM alert AS a WHERE a.state IN ('requested', 'received', 'on-hold') AND NOT a.synthetic GROUP BY a.urgency, a.state
$$;
SELECT sees_all_tenants('open_alerts()');
CREATE OR REPLACE FUNCTION deliveries_of_a_day() RETURNS TABLE (channel text, state text, number bigint)
LANGUAGE sql STABLE AS $$
    SELECT d.channel, d.state, count(*) FROM delivery AS d
    WHERE d.created_at > now() - interval '24 hours' AND d.tenant_id <> watchdog_tenant() GROUP BY d.channel, d.state
$$;
SELECT sees_all_tenants('deliveries_of_a_day()');
