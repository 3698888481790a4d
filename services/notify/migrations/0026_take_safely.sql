-- The longest due message to one recipient, as before (0020), but whoever opens an alert takes it in the same transaction, and
-- that must not suffer from an older message. The lease counts from the moment at which it is taken, however long the
-- transaction has lasted. Nobody waits for an old link that another holds. And where the message or its alert cannot be looked
-- at, the caller gets the job alone, as where somebody changes the alert: whoever sends it looks again, in a transaction of its
-- own, and what goes wrong there is counted.
CREATE OR REPLACE FUNCTION take_message(
    in_kind text, in_min_age_s double precision, in_lease_s double precision, in_link bytea, in_lasts interval
) RETURNS TABLE (
    job_tenant uuid, job_id text, job_version integer, job_token uuid, job_attempts integer, job_error text,
    job_age_s double precision, more boolean, told_alert uuid, told_channel text, told_recipient text, told_person text,
    told_urgency text, told_state text, told_attempts integer, told_answer text, told_since timestamptz, told_notice text,
    held alert
) LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
    due  job[];
    mine job;
    told delivery;
BEGIN
    due := ARRAY(
        SELECT j FROM job AS j
        WHERE j.kind = in_kind AND j.is_open
          AND ((j.state = 'pending' AND j.due_at <= now() - make_interval(secs => in_min_age_s))
            OR (j.state = 'running' AND j.lease_until < now()))
        ORDER BY j.due_at LIMIT 2 FOR UPDATE SKIP LOCKED);
    IF cardinality(due) = 0 THEN
        RETURN;
    END IF;
    mine := due[1];
    job_tenant := mine.tenant_id;
    job_id := mine.ref_id;
    job_version := mine.ref_version;
    job_token := gen_random_uuid();
    job_attempts := mine.attempts + 1;
    job_error := mine.error;
    job_age_s := extract(epoch FROM now() - mine.created_at);
    more := cardinality(due) > 1;
    UPDATE job AS j SET state = 'running', attempts = job_attempts, lease_token = job_token,
                        lease_until = clock_timestamp() + make_interval(secs => in_lease_s)
    WHERE j.tenant_id = mine.tenant_id AND j.kind = mine.kind AND j.ref_id = mine.ref_id
      AND j.ref_version = mine.ref_version;

    PERFORM set_config('sural.tenant', job_tenant::text, true);
    BEGIN
        SELECT d.* INTO told FROM delivery AS d WHERE d.tenant_id = job_tenant AND d.id = job_id::uuid;
        told_alert := told.alert_id;
        told_channel := told.channel;
        told_recipient := told.recipient;
        told_person := told.person;
        told_urgency := told.urgency;
        told_state := told.state;
        told_attempts := told.attempts;
        told_answer := told.answer;
        told_since := greatest(told.created_at, told.held_until);
        told_notice := (SELECT n.kind FROM notice AS n WHERE n.alert_id = told.alert_id AND n.step = told.step);
        SELECT a.* INTO held FROM alert AS a
        WHERE a.tenant_id = job_tenant AND a.id = told.alert_id FOR SHARE SKIP LOCKED;
        IF held.id IS NOT NULL AND told.state = 'pending' AND told_notice IS NULL THEN
            DELETE FROM ack_link AS l WHERE l.token_sha256 = ANY (ARRAY(
                SELECT o.token_sha256 FROM ack_link AS o
                WHERE o.alert_id = held.id AND o.expires_at < now() FOR UPDATE SKIP LOCKED));
            INSERT INTO ack_link (token_sha256, tenant_id, alert_id, delivery_id, person, expires_at)
            VALUES (in_link, job_tenant, held.id, told.id, told.person, now() + in_lasts);
        END IF;
    EXCEPTION WHEN OTHERS THEN
        told_alert := NULL;
        held := NULL;
    END;
    RETURN NEXT;
END
$$;
