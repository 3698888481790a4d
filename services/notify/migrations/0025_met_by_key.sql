-- An alert is looked up by tenant and id a dozen times for each message, mostly by its foreign keys. Without figures about the
-- table, an index that has the tenant in it seemed as good as that of the key, and half of all alerts were read each time. So
-- this one names the patient alone: of patients with the same key at other tenants there are few.
DROP INDEX alert_of_patient;
-- detail page and patient history: all alerts of a patient, newest first
CREATE INDEX alert_of_patient ON alert (subject_key, opened_at DESC);

-- What an assessment meets, as before (0023), but the open alert is found by its patient. Planned while there was little, the
-- search went through all open alerts, and that for the alert of a refused submission through all assessments too: without
-- figures about a table, any index that begins with the tenant seems as good. `BETWEEN x AND x` in the order of x says the
-- same as `= x`, and only indexes of that key are in this order. The alerts of one submission are few: each is looked up by
-- its id, the oldest first (ids are of the time at which they were made).
CREATE OR REPLACE FUNCTION meet_assessment(
    in_tenant uuid, in_assessment text, in_version integer, in_kind text, in_token uuid, in_subject_key text,
    in_pathway text, in_submission text
) RETURNS TABLE (
    now timestamptz, withdrawn_version integer, seen jsonb, document integer, document_sha256 text, held alert
) LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
    same uuid[];
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
    WHERE a.tenant_id = in_tenant AND a.subject_key BETWEEN in_subject_key AND in_subject_key
      AND a.pathway BETWEEN in_pathway AND in_pathway AND a.state IN ('requested', 'received', 'on-hold')
    ORDER BY a.subject_key, a.pathway LIMIT 1 FOR UPDATE;
    IF held.id IS NULL AND in_submission IS NOT NULL THEN
        same := ARRAY(
            SELECT s.alert_id FROM alert_assessment AS s
            WHERE s.tenant_id = in_tenant AND s.submission BETWEEN in_submission AND in_submission ORDER BY s.submission);
        same := ARRAY(SELECT DISTINCT id FROM unnest(same) AS id ORDER BY id);
        FOR i IN 1 .. cardinality(same) LOOP
            SELECT a.* INTO held FROM alert AS a
            WHERE a.tenant_id = in_tenant AND a.id BETWEEN same[i] AND same[i] AND a.pathway = in_pathway
              AND a.state IN ('requested', 'received', 'on-hold') AND a.refused_at IS NOT NULL
              AND a.subject_key LIKE 'RiskAssessment/%'
            ORDER BY a.id LIMIT 1 FOR UPDATE;
            EXIT WHEN FOUND;
        END LOOP;
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

-- What is added to an alert, as before (0019), but each message is changed by itself: joined to what is said of them, all that
-- there ever were had been read.
CREATE OR REPLACE FUNCTION add_to_alert(in_tenant uuid, in_alert uuid, in_rows jsonb) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    told record;
BEGIN
    IF in_rows ? 'messages' THEN
        INSERT INTO delivery (id, tenant_id, alert_id, step, channel, recipient, urgency, created_at, person, held_until)
        SELECT m.id, in_tenant, in_alert, m.step, m.channel, m.recipient, m.urgency, m.created_at, m.person, m.held_until
        FROM jsonb_to_recordset(in_rows -> 'messages') AS m (
            id uuid, step integer, channel text, recipient text, urgency text, created_at timestamptz, person text,
            held_until timestamptz);
        INSERT INTO job (tenant_id, kind, ref_id, ref_version, due_at)
        SELECT in_tenant, m.job, m.id, m.step, transaction_timestamp() + make_interval(secs => m.delay_s)
        FROM jsonb_to_recordset(in_rows -> 'messages') AS m (id text, step integer, job text, delay_s double precision)
        WHERE m.job IS NOT NULL;
    END IF;
    IF in_rows ? 'outcomes' THEN
        FOR told IN
            SELECT * FROM jsonb_to_recordset(in_rows -> 'outcomes') AS o (
                id uuid, state text, attempts integer, answer text, sent_at timestamptz)
        LOOP
            UPDATE delivery AS d SET state = told.state, attempts = told.attempts, answer = told.answer,
                                     sent_at = told.sent_at
            WHERE d.tenant_id = in_tenant AND d.id = told.id;
        END LOOP;
    END IF;
    IF in_rows ? 'events' THEN
        INSERT INTO alert_event (tenant_id, alert_id, kind, person, step, delivery_id, assessment_id, assessment_version,
                                 detail, way, person_id, target, until, reason)
        SELECT in_tenant, in_alert, e.kind, e.person, e.step, e.delivery_id, e.assessment_id, e.assessment_version,
               e.detail, e.way, e.person_id, e.target, e.until, e.reason
        FROM jsonb_to_recordset(in_rows -> 'events') AS e (
            kind text, person text, step integer, delivery_id uuid, assessment_id text, assessment_version integer,
            detail text, way text, person_id text, target text, until timestamptz, reason text);
        PERFORM record_audit(in_tenant, e.audit_interaction, e.audit_word, e.audit_outcome, e.audit_agent, e.audit_address,
                             e.audit_type, e.audit_id, e.audit_version, e.audit_patient, e.audit_query, e.audit_request)
        FROM jsonb_to_recordset(in_rows -> 'events') AS e (
            audit_interaction text, audit_word text, audit_outcome text, audit_agent text, audit_address text,
            audit_type text, audit_id text, audit_version integer, audit_patient text, audit_query text, audit_request text)
        WHERE e.audit_agent IS NOT NULL;
    END IF;
END
$$;
