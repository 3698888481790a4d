-- Jobs that wait for a time which was written down while the clock of this database was ahead. Nothing else would find them
-- before that time. Both functions look at open work only, whatever the planner knew when it made its plan, and leave alone
-- what somebody else has locked.

-- Work that would wait longer than anything of its name is ever put off is due now; what never failed is not put off at all.
-- in_longest: seconds, for each of the names that kinds have before a `/`. Returns how many.
CREATE FUNCTION hasten_jobs(in_names text[], in_longest double precision[], in_slack_s double precision) RETURNS bigint
LANGUAGE sql SET enable_seqscan = off AS $$
    WITH hastened AS (
        UPDATE job AS j SET due_at = now(), created_at = least(j.created_at, now())
        WHERE j.ctid = ANY (ARRAY(
            SELECT late.ctid FROM unnest(in_names, in_longest) AS wanted (name, longest), LATERAL (
                SELECT w.ctid FROM job AS w
                WHERE split_part(w.kind, '/', 1) = wanted.name AND w.is_open AND w.state = 'pending'
                  AND w.due_at > now() + make_interval(secs => in_slack_s)
                  AND (w.error IS NULL OR w.due_at > now() + make_interval(secs => wanted.longest + in_slack_s))
                FOR UPDATE SKIP LOCKED) AS late))
        RETURNING 1)
    SELECT count(*) FROM hastened
$$;

-- A lease that ends later than any that is given now gets the length of those: whoever works extends it, and nobody else need
-- wait for longer. Returns how many.
CREATE FUNCTION shorten_leases(in_lease_s double precision, in_slack_s double precision) RETURNS bigint
LANGUAGE sql SET enable_seqscan = off AS $$
    WITH shortened AS (
        UPDATE job AS j SET lease_until = now() + make_interval(secs => in_lease_s),
                            created_at = least(j.created_at, now())
        WHERE j.ctid = ANY (ARRAY(
            SELECT held.ctid FROM job AS held
            WHERE held.is_open AND held.state = 'running'
              AND held.lease_until > now() + make_interval(secs => in_lease_s + in_slack_s)
            FOR UPDATE SKIP LOCKED))
        RETURNING 1)
    SELECT count(*) FROM shortened
$$;
