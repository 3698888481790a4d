-- An alert is opened, and a message recorded, in two statements: one that meets what there is, one that writes. What ends the
-- job is in the first. No table is read whole for a row whose key is known, although the planner, which plans once for each
-- connection, may see few rows at that time.

-- What an assessment meets, as look_at_arrival gave it, and the newest on-call document. in_kind: the job that this ends:
-- that of in_token, while its lease is ours; without a token one that nobody has noted yet. No row where that is not so.
-- Without in_kind no job is ended.
CREATE FUNCTION meet_assessment(
    in_tenant uuid, in_assessment text, in_version integer, in_kind text, in_token uuid, in_subject_key text,
    in_pathway text, in_submission text
) RETURNS TABLE (
    now timestamptz, withdrawn_version integer, seen jsonb, document integer, document_sha256 text, held alert
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF in_kind IS NOT NULL AND in_token IS NULL THEN
        INSERT INTO job (tenant_id, kind, ref_id, ref_version, state, attempts, finished_at)
        VALUES (in_tenant, in_kind, in_assessment, in_version, 'done', 1, transaction_timestamp())
        ON CONFLICT DO NOTHING;
    ELSIF in_kind IS NOT NULL THEN
        UPDATE job AS j SET state = 'done', finished_at = transaction_timestamp(), lease_token = NULL, lease_until = NULL
        WHERE j.tenant_id = in_tenant AND j.kind = in_kind AND j.ref_id = in_assessment AND j.ref_version = in_version
          AND j.state = 'running' AND j.lease_token = in_token;
    END IF;
    IF in_kind IS NOT NULL AND NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(in_tenant || '/' || in_assessment, 0));
    SELECT a.* INTO held FROM alert AS a
    WHERE a.tenant_id = in_tenant AND a.subject_key = in_subject_key AND a.pathway = in_pathway
      AND a.state IN ('requested', 'received', 'on-hold')
    FOR UPDATE;
    IF held.id IS NULL AND in_submission IS NOT NULL THEN
        SELECT a.* INTO held FROM alert AS a
        WHERE a.tenant_id = in_tenant AND a.pathway = in_pathway AND a.state IN ('requested', 'received', 'on-hold')
          AND a.refused_at IS NOT NULL AND a.subject_key LIKE 'RiskAssessment/%' AND a.id IN (
              SELECT s.alert_id FROM alert_assessment AS s WHERE s.tenant_id = in_tenant AND s.submission = in_submission)
        ORDER BY a.opened_at LIMIT 1 FOR UPDATE;
    END IF;
    now := date_trunc('milliseconds', clock_timestamp());
    withdrawn_version := coalesce((
        SELECT w.assessment_version FROM withdrawn_assessment AS w
        WHERE w.tenant_id = in_tenant AND w.assessment_id = in_assessment), 0);
    seen := coalesce((
        SELECT jsonb_agg(jsonb_build_array(s.assessment_version, s.urgency, s.alert_id)) FROM alert_assessment AS s
        WHERE s.tenant_id = in_tenant AND s.assessment_id = in_assessment), '[]');
    SELECT d.version, d.sha256 INTO document, document_sha256
    FROM on_call_document AS d WHERE d.tenant_id = in_tenant ORDER BY d.version DESC LIMIT 1;
    RETURN NEXT;
END
$$;

-- What the outcome of a message meets, as look_at_outcome gave it. in_token: the job that this ends, while its lease is ours;
-- no row where it is not. Without a token no job is ended.
CREATE FUNCTION meet_outcome(
    in_tenant uuid, in_delivery uuid, in_alert uuid, in_request text, in_kind text, in_step integer, in_token uuid
) RETURNS TABLE (
    now timestamptz, task bytea, request bytea, versions integer, others_pending bigint, others_sent bigint, missed jsonb,
    held alert
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    told delivery;
BEGIN
    IF in_token IS NOT NULL THEN
        UPDATE job AS j SET state = 'done', finished_at = transaction_timestamp(), lease_token = NULL, lease_until = NULL
        WHERE j.tenant_id = in_tenant AND j.kind = in_kind AND j.ref_id = in_delivery::text AND j.ref_version = in_step
          AND j.state = 'running' AND j.lease_token = in_token;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    SELECT a.* INTO held FROM alert AS a WHERE a.tenant_id = in_tenant AND a.id = in_alert FOR UPDATE;
    SELECT d.* INTO told FROM delivery AS d WHERE d.tenant_id = in_tenant AND d.id = in_delivery;
    now := date_trunc('milliseconds', clock_timestamp());
    IF held.state = 'requested' THEN
        task := (SELECT r.body FROM resource AS r
                 WHERE r.tenant_id = in_tenant AND r.type = 'Task' AND r.id = in_alert::text AND r.is_current);
    END IF;
    request := (SELECT r.body FROM resource AS r
                WHERE r.tenant_id = in_tenant AND r.type = 'CommunicationRequest' AND r.id = in_request AND r.is_current);
    versions := coalesce((SELECT r.version_id FROM resource AS r
                          WHERE r.tenant_id = in_tenant AND r.type = 'Communication' AND r.id = in_delivery::text
                            AND r.is_current), 0);
    SELECT count(*) FILTER (WHERE d.state = 'pending'), count(*) FILTER (WHERE d.state = 'sent')
    INTO others_pending, others_sent
    FROM delivery AS d WHERE d.alert_id = in_alert AND d.step = told.step AND d.id <> told.id;
    missed := coalesce((
        SELECT jsonb_agg(jsonb_build_array(n.step, n.kind) ORDER BY n.step) FROM notice AS n
        WHERE n.tenant_id = in_tenant AND n.alert_id = in_alert AND n.step > told.step AND NOT EXISTS (
            SELECT FROM delivery AS d WHERE d.alert_id = n.alert_id AND d.step = n.step
              AND d.channel = told.channel AND d.recipient = told.recipient)), '[]');
    RETURN NEXT;
END
$$;

-- What a transaction writes of an alert: what add_to_alert adds, new versions of its resources (save_resources), and in in_rows
-- {"opened": the alert, with the assessment and the red flags behind it; "received": the version of its Task that says that
-- somebody was told}. False, and nothing written, when another alert was opened for the same patient and pathway meanwhile.
CREATE FUNCTION write_alert(
    in_tenant uuid, in_alert uuid, in_rows jsonb, in_new jsonb, in_bodies bytea[], in_digests bytea[]
) RETURNS boolean LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF in_rows ? 'opened' THEN
        INSERT INTO alert (id, tenant_id, subject_key, pathway, subject, state, urgency, first_step, step, task_version,
                           opened_at, due_at, refused_client, refused_at, policy, policy_version, team, position, round,
                           exhausted_at, synthetic)
        SELECT in_alert, in_tenant, o.subject_key, o.pathway, o.subject, o.state, o.urgency, o.first_step, o.step,
               o.task_version, o.opened_at, o.due_at, o.refused_client, o.refused_at, o.policy, o.policy_version, o.team,
               o.position, o.round, o.exhausted_at, o.synthetic
        FROM jsonb_to_record(in_rows -> 'opened') AS o (
            subject_key text, pathway text, subject jsonb, state text, urgency text, first_step integer, step integer,
            task_version integer, opened_at timestamptz, due_at timestamptz, refused_client text, refused_at timestamptz,
            policy text, policy_version integer, team text, position integer, round integer, exhausted_at timestamptz,
            synthetic boolean)
        ON CONFLICT (tenant_id, subject_key, pathway) WHERE state IN ('requested', 'received', 'on-hold') DO NOTHING;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
        INSERT INTO alert_assessment (tenant_id, assessment_id, assessment_version, alert_id, urgency, joined_at, submission)
        SELECT in_tenant, o.assessment_id, o.assessment_version, in_alert, o.urgency, o.opened_at, o.submission
        FROM jsonb_to_record(in_rows -> 'opened') AS o (
            assessment_id text, assessment_version integer, urgency text, opened_at timestamptz, submission text);
        INSERT INTO alert_flag (tenant_id, alert_id, flag)
        SELECT in_tenant, in_alert, flag FROM jsonb_array_elements_text(in_rows #> '{opened,flags}') AS flag
        ON CONFLICT DO NOTHING;
    END IF;
    IF in_rows ? 'received' THEN
        UPDATE alert AS a SET state = 'received', task_version = (in_rows ->> 'received')::integer
        WHERE a.tenant_id = in_tenant AND a.id = in_alert;
    END IF;
    IF in_new IS NOT NULL THEN
        PERFORM save_resources(in_tenant, in_new, in_bodies, in_digests);
    END IF;
    PERFORM add_to_alert(in_tenant, in_alert, in_rows);
    RETURN true;
END
$$;
ALTER FUNCTION add_to_alert(uuid, uuid, jsonb) SET enable_seqscan = off;
ALTER FUNCTION take_message(text, double precision, double precision, bytea, interval) SET enable_seqscan = off;
