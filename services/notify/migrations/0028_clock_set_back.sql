-- What was put off while the clock of this database was ahead, of all tenants: see 0023 of what is shared.

-- Messages that would wait longer than any of their lane is ever put off are due now (in_longest, for each of in_lanes), and so
-- are first attempts, but not those that wait for the end of somebody's quiet hours, if these end within in_held. Returns how
-- many.
CREATE FUNCTION hasten_messages(in_lanes text[], in_longest interval[], in_held interval, in_slack interval) RETURNS bigint
LANGUAGE sql SET enable_seqscan = off AS $$
    WITH hastened AS (
        UPDATE job AS j SET due_at = now(), created_at = least(j.created_at, now())
        WHERE j.ctid = ANY (ARRAY(
            SELECT late.ctid FROM unnest(in_lanes, in_longest) AS wanted (lane, longest), LATERAL (
                SELECT w.ctid FROM job AS w
                WHERE split_part(w.kind, '/', 1) = wanted.lane AND w.is_open AND w.state = 'pending'
                  AND w.due_at > now() + in_slack
                  AND (w.error IS NULL OR w.due_at > now() + wanted.longest + in_slack)
                  AND NOT coalesce((
                    SELECT d.held_until <= now() + in_held AND d.held_until >= w.due_at - in_slack
                    FROM delivery AS d
                    WHERE d.tenant_id = w.tenant_id
                      AND d.id = CASE WHEN w.ref_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                                      THEN w.ref_id::uuid END), false)
                FOR UPDATE OF w SKIP LOCKED) AS late))
        RETURNING 1)
    SELECT count(*) FROM hastened
$$;
SELECT sees_all_tenants('hasten_messages(text[], interval[], interval, interval)');

-- Where the reconciler looks, as before (0003), and at tenants whose only alerts are snoozed: their end may be too far ahead.
CREATE OR REPLACE FUNCTION tenants_waiting() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT a.tenant_id FROM alert AS a WHERE a.state IN ('requested', 'received', 'on-hold')
    UNION
    SELECT d.tenant_id FROM delivery AS d WHERE d.state = 'pending'
$$;
SELECT sees_all_tenants('tenants_waiting()');
