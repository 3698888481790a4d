-- Note work, and take it at once where nothing else of its kind is due: one statement and one commit in place of two each,
-- and one version of each row. in_refs: [{"tenant", "id", "version"}, ...]. Rows: what was taken, under a lease of so many
-- seconds; or a single one without a reference where something else is due, so that the oldest comes first, and then the
-- work is noted only. Known work stays as it is, but what was set aside is tried anew, as in jobs.sql (add). Whether anything
-- is due is asked in the order of the one index that serves, whatever the planner knew when it made its plan.
CREATE FUNCTION take_up_jobs(in_kind text, in_refs jsonb, in_lease_s double precision)
RETURNS TABLE (tenant_id uuid, ref_id text, ref_version integer, lease_token uuid)
LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    at_once boolean;
BEGIN
    at_once := NOT EXISTS (
        SELECT FROM job AS due
        WHERE due.kind BETWEEN in_kind AND in_kind AND due.is_open AND due.due_at <= now()
          AND (due.state = 'pending' OR due.lease_until < now())
        ORDER BY due.kind, due.due_at LIMIT 1);
    RETURN QUERY
    INSERT INTO job AS known (tenant_id, kind, ref_id, ref_version, due_at, state, attempts, lease_token, lease_until)
    SELECT new.tenant, in_kind, new.id, new.version, now(),
           CASE WHEN at_once THEN 'running' ELSE 'pending' END, at_once::integer,
           CASE WHEN at_once THEN gen_random_uuid() END,
           CASE WHEN at_once THEN now() + make_interval(secs => in_lease_s) END
    FROM jsonb_to_recordset(in_refs) AS new (tenant uuid, id text, version integer)
    ON CONFLICT (tenant_id, kind, ref_id, ref_version) DO UPDATE
    SET state = excluded.state, attempts = excluded.attempts, due_at = excluded.due_at, created_at = now(), error = NULL,
        finished_at = NULL, lease_token = excluded.lease_token, lease_until = excluded.lease_until
    WHERE known.state = 'dead'
    RETURNING known.tenant_id, known.ref_id, known.ref_version, known.lease_token;
    IF NOT at_once THEN
        RETURN QUERY SELECT NULL::uuid, NULL::text, NULL::integer, NULL::uuid;
    END IF;
END
$$;
