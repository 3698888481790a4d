-- An alert is opened, and a message recorded, in a handful of statements: what must be read under a lock is read by the
-- function that takes the lock, each part with a snapshot of its own, and what is added is added at once.

-- What an assessment meets, nobody else letting a version of it have its effect until this transaction ends: the newest
-- version in which it was withdrawn, the versions that alerts stand for, and, locked, the open alert of its patient and
-- pathway; else that of the same submission, which was refused before and whose patient nobody knows. An identifier alone
-- never joins the alert of a known patient.
CREATE FUNCTION look_at_arrival(
    in_tenant uuid, in_assessment text, in_subject_key text, in_pathway text, in_submission text
) RETURNS TABLE (now timestamptz, withdrawn_version integer, seen jsonb, held alert) LANGUAGE plpgsql AS $$
BEGIN
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
    RETURN NEXT;
END
$$;

-- What the outcome of a message meets, the alert locked: its Task while nobody was told before, the request that ordered
-- the message, how many versions its Communication has, how the other messages of the step stand, and notices given since
-- it was ordered that do not go to its recipient yet.
CREATE FUNCTION look_at_outcome(in_tenant uuid, in_delivery uuid, in_alert uuid, in_request text) RETURNS TABLE (
    now timestamptz, task bytea, request bytea, versions integer, others_pending bigint, others_sent bigint, missed jsonb,
    held alert
) LANGUAGE plpgsql AS $$
DECLARE
    told delivery;
BEGIN
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

-- What a transaction adds to an alert. in_rows: {"messages": [...], "outcomes": [...], "events": [...]}: messages, each
-- with the kind of its job unless nobody sends it, and after how many seconds that is due; how messages stand now; lines
-- of the ledger, each with its row of the audit, unless there is none (agent null).
CREATE FUNCTION add_to_alert(in_tenant uuid, in_alert uuid, in_rows jsonb) RETURNS void LANGUAGE plpgsql AS $$
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
        UPDATE delivery AS d SET state = o.state, attempts = o.attempts, answer = o.answer, sent_at = o.sent_at
        FROM jsonb_to_recordset(in_rows -> 'outcomes') AS o (
            id uuid, state text, attempts integer, answer text, sent_at timestamptz)
        WHERE d.tenant_id = in_tenant AND d.id = o.id;
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
