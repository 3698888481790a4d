-- What must always be so. Each query is named after its invariant and gives what breaks it: no row, all is well.
--
-- They run on live systems with millions of rows, one tenant at a time, read only. Parameters: tenant; since, before which
-- nothing is looked at; quiet, seconds for which things may be on their way; most, rows that are given. A comment says
-- which index a query walks, so that it reads what changed since then and not everything there is. Synthetic rounds of the
-- watchdog are forgotten after a while in each service by itself, and are not looked at.

-- name: tenants
-- Everybody who has anything here. Walks from tenant to tenant in the primary keys of resource.
WITH RECURSIVE
intake AS (
    (SELECT tenant_id AS id FROM intake.resource ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT r.tenant_id FROM intake.resource AS r WHERE r.tenant_id > intake.id ORDER BY r.tenant_id LIMIT 1)
    FROM intake WHERE intake.id IS NOT NULL
), triage AS (
    (SELECT tenant_id AS id FROM triage.resource ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT r.tenant_id FROM triage.resource AS r WHERE r.tenant_id > triage.id ORDER BY r.tenant_id LIMIT 1)
    FROM triage WHERE triage.id IS NOT NULL
), notify AS (
    (SELECT tenant_id AS id FROM notify.resource ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT r.tenant_id FROM notify.resource AS r WHERE r.tenant_id > notify.id ORDER BY r.tenant_id LIMIT 1)
    FROM notify WHERE notify.id IS NOT NULL
)
SELECT id FROM (SELECT id FROM intake UNION SELECT id FROM triage UNION SELECT id FROM notify
                UNION SELECT DISTINCT tenant_id FROM intake.quarantine) AS every
WHERE id IS NOT NULL AND id <> intake.published_tenant() AND id <> notify.watchdog_tenant()
ORDER BY id

-- name: I1.kept
-- Every accepted response has all its versions, one of them current, the newest. Walks resource_last_updated of intake from
-- :since, then the primary key.
SELECT 'a version is missing, or not the newest one is current' AS what, 'QuestionnaireResponse/' || id AS id
FROM (SELECT r.id, r.version_id, count(*) AS versions, max(v.version_id) AS newest
      FROM intake.resource AS r JOIN intake.resource AS v USING (tenant_id, type, id)
      WHERE r.tenant_id = %(tenant)s AND r.type = 'QuestionnaireResponse' AND r.is_current
        AND r.last_updated >= %(since)s
      GROUP BY r.id, r.version_id) AS looked
WHERE versions <> version_id OR newest <> version_id
LIMIT %(most)s

-- name: I1.gone
-- Whatever was assessed is still there. Walks resource_last_updated of triage from :since, then primary keys.
SELECT 'assessed, and gone from intake' AS what, 'QuestionnaireResponse/' || a.response_id AS id
FROM triage.resource AS ra
JOIN triage.assessment AS a ON a.tenant_id = ra.tenant_id AND a.id = ra.id
WHERE ra.tenant_id = %(tenant)s AND ra.type = 'RiskAssessment' AND ra.is_current AND ra.last_updated >= %(since)s
  AND NOT EXISTS (SELECT FROM intake.resource AS r
                  WHERE r.tenant_id = a.tenant_id AND r.type = 'QuestionnaireResponse' AND r.id = a.response_id
                    AND r.version_id = a.response_version)
  AND NOT EXISTS (SELECT FROM intake.quarantine AS q WHERE q.tenant_id = a.tenant_id AND q.id = a.response_id)
LIMIT %(most)s

-- name: I2.assessed
-- Every accepted response has exactly one assessment of its newest version that is current. Walks resource_last_updated of
-- intake from :since, then the unique index of assessment over responses.
SELECT CASE number WHEN 0 THEN 'not assessed' ELSE 'assessed more than once' END AS what,
       'QuestionnaireResponse/' || id || '/_history/' || version_id AS id
FROM (SELECT r.id, r.version_id, (
          SELECT count(*) FROM triage.assessment AS a
          JOIN triage.resource AS ra ON ra.tenant_id = a.tenant_id AND ra.type = 'RiskAssessment' AND ra.id = a.id
              AND ra.is_current
          WHERE a.tenant_id = r.tenant_id AND a.response_id = r.id AND a.response_version = r.version_id) AS number
      FROM intake.resource AS r
      WHERE r.tenant_id = %(tenant)s AND r.type = 'QuestionnaireResponse' AND r.is_current
        AND r.last_updated >= %(since)s AND r.last_updated < now() - make_interval(secs => %(quiet)s)) AS looked
WHERE number <> 1
LIMIT %(most)s

-- name: I2.current
-- No assessment has two current versions, nor another one than it says. Walks resource_last_updated of triage from :since.
SELECT 'not the version that is current, or more than one is' AS what, 'RiskAssessment/' || ra.id AS id
FROM triage.resource AS ra
LEFT JOIN triage.assessment AS a ON a.tenant_id = ra.tenant_id AND a.id = ra.id
WHERE ra.tenant_id = %(tenant)s AND ra.type = 'RiskAssessment' AND ra.is_current AND ra.last_updated >= %(since)s
GROUP BY ra.id, a.version_id
HAVING count(*) > 1 OR max(ra.version_id) IS DISTINCT FROM a.version_id
LIMIT %(most)s

-- name: I2.refused
-- Every refused submission that was kept was looked at, and an urgent one is told of. Walks quarantine_waiting, and
-- quarantine_received from :since.
SELECT 'refused, kept, and not looked at' AS what, 'submission/' || id AS id FROM intake.quarantine
WHERE tenant_id = %(tenant)s AND state = 'waiting' AND received_at < now() - make_interval(secs => %(quiet)s)
UNION ALL
SELECT 'refused, urgent, and without an assessment that says so', 'submission/' || q.id FROM intake.quarantine AS q
WHERE q.tenant_id = %(tenant)s AND q.state = 'urgent' AND q.received_at >= %(since)s
  AND q.examined_at < now() - make_interval(secs => %(quiet)s)
  AND NOT EXISTS (SELECT FROM triage.assessment AS a WHERE a.tenant_id = q.tenant_id AND a.response_id = q.id)
LIMIT %(most)s

-- name: I3.basis
-- Every assessment names the version of the response that it stands on, and the knowledge, by version and digest. Walks
-- resource_last_updated of triage from :since, then primary keys.
SELECT 'does not say which version of the response, or which knowledge, it stands on' AS what,
       'RiskAssessment/' || ra.id || '/_history/' || ra.version_id AS id
FROM triage.resource AS ra
JOIN triage.assessment AS a ON a.tenant_id = ra.tenant_id AND a.id = ra.id
JOIN intake.resource AS r ON r.tenant_id = a.tenant_id AND r.type = 'QuestionnaireResponse' AND r.id = a.response_id
    AND r.version_id = a.response_version
WHERE ra.tenant_id = %(tenant)s AND ra.type = 'RiskAssessment' AND ra.is_current AND ra.last_updated >= %(since)s
  AND (NOT EXISTS (SELECT FROM triage.search_value AS v
                   WHERE v.tenant_id = ra.tenant_id AND v.type = ra.type AND v.id = ra.id AND v.param = 'basis'
                     AND v.value = 'QuestionnaireResponse/' || a.response_id AND v.system = a.response_version::text)
    OR (a.pack <> 'none' AND a.pack_sha256 = '')
    OR NOT EXISTS (SELECT FROM triage.assessment_run AS run
                   WHERE run.tenant_id = a.tenant_id AND run.response_id = a.response_id
                     AND run.response_version = a.response_version AND run.pack = a.pack
                     AND run.pack_version = a.pack_version))
LIMIT %(most)s

-- name: I4.alerted
-- Every assessment that asks for a human is behind an alert that is at least as urgent. Walks resource_last_updated of
-- triage from :since, then the primary keys of alert_assessment and alert.
SELECT CASE WHEN alert.id IS NULL THEN 'urgent, and without an alert'
            ELSE 'an emergency behind an alert that is less urgent' END AS what,
       'RiskAssessment/' || ra.id || '/_history/' || ra.version_id AS id
FROM triage.resource AS ra
LEFT JOIN notify.alert_assessment AS told ON told.tenant_id = ra.tenant_id AND told.assessment_id = ra.id
    AND told.assessment_version = ra.version_id
LEFT JOIN notify.alert ON alert.tenant_id = told.tenant_id AND alert.id = told.alert_id
WHERE ra.tenant_id = %(tenant)s AND ra.type = 'RiskAssessment' AND ra.is_current AND ra.last_updated >= %(since)s
  AND ra.last_updated < now() - make_interval(secs => %(quiet)s)
  AND ra.tag IN ('emergency', 'same_day', 'clinician_review')
  AND (alert.id IS NULL OR (ra.tag = 'emergency' AND alert.urgency <> 'emergency'))
LIMIT %(most)s

-- name: I4.waiting
-- Every alert that nobody acknowledged is told again at a time that has not passed, also at the end of its chain, where
-- the fallback is told again and again. Walks alert_open: all that is open.
SELECT CASE WHEN due_at IS NULL THEN 'open, and never told again' ELSE 'open, and should have been told again' END AS what,
       'Task/' || id AS id
FROM notify.alert
WHERE tenant_id = %(tenant)s AND state IN ('requested', 'received', 'on-hold')
  AND opened_at < now() - make_interval(secs => %(quiet)s)
  AND coalesce(due_at, '-infinity') < now() - make_interval(secs => %(quiet)s)
LIMIT %(most)s

-- name: I4.closed
-- No alert is out of the way without a person who acknowledged it, or a withdrawal. Walks alert_opened from :since.
SELECT 'out of the way, and nobody acknowledged it' AS what, 'Task/' || id AS id FROM notify.alert
WHERE tenant_id = %(tenant)s AND opened_at >= %(since)s AND state NOT IN ('requested', 'received', 'on-hold')
  AND acknowledged_at IS NULL AND withdrawn_at IS NULL
LIMIT %(most)s

-- name: I5.told
-- Somebody was told of every alert: a channel took at least one message of its present urgency, unless a person had it
-- before, or it waits for the end of somebody's quiet hours. Walks alert_opened from :since, then the deliveries of each.
SELECT 'open, and nobody was told' AS what, 'Task/' || a.id AS id FROM notify.alert AS a
WHERE a.tenant_id = %(tenant)s AND a.opened_at >= %(since)s AND NOT a.synthetic AND a.state <> 'on-hold'
  AND CASE WHEN a.state IN ('requested', 'received') THEN now() ELSE coalesce(a.acknowledged_at, a.withdrawn_at) END
      - greatest(a.opened_at, coalesce((
        SELECT max(e.at) FROM notify.alert_event AS e
        WHERE e.alert_id = a.id AND e.kind IN ('raised', 'woken', 'handed_over')), a.opened_at))
      > make_interval(secs => %(quiet)s)
  AND NOT EXISTS (SELECT FROM notify.delivery AS d
                  WHERE d.alert_id = a.id AND d.step >= a.first_step AND d.state = 'sent'
                    AND NOT EXISTS (SELECT FROM notify.notice AS n WHERE n.alert_id = d.alert_id AND n.step = d.step))
  AND NOT EXISTS (SELECT FROM notify.delivery AS d
                  WHERE d.alert_id = a.id AND d.state = 'pending'
                    AND d.held_until > now() - make_interval(secs => %(quiet)s))
LIMIT %(most)s

-- name: I6.recipient
-- Every message went to its own tenant: alert, assessment and recipient are of the same one. Walks delivery_created from
-- :since, then primary keys; on-call documents are few, and each person is looked up once.
WITH lately AS (
    SELECT d.id, d.person, d.tenant_id, d.alert_id FROM notify.delivery AS d
    WHERE d.created_at >= %(since)s AND d.tenant_id = %(tenant)s),
people AS (
    SELECT person, min(id::text) AS id FROM lately WHERE person IS NOT NULL GROUP BY person)
SELECT 'the alert of a message is of another tenant' AS what, 'Communication/' || lately.id AS id
FROM lately LEFT JOIN notify.alert AS a ON a.id = lately.alert_id
WHERE a.tenant_id IS DISTINCT FROM lately.tenant_id
UNION ALL
SELECT 'sent to somebody whom no on-call document of the tenant names', 'Communication/' || people.id FROM people
WHERE NOT EXISTS (SELECT FROM notify.on_call_document AS doc
                  WHERE doc.tenant_id = %(tenant)s AND doc.text ~ ('(^|[^\w-])' || people.person || '($|[^\w-])'))
LIMIT %(most)s

-- name: I6.assessment
-- Every alert stands for assessments that its own tenant has. Walks alert_opened from :since, then primary keys.
SELECT 'stands for an assessment that the tenant does not have' AS what, 'Task/' || a.id AS id
FROM notify.alert AS a JOIN notify.alert_assessment AS told ON told.alert_id = a.id
WHERE a.tenant_id = %(tenant)s AND a.opened_at >= %(since)s
  AND NOT EXISTS (SELECT FROM triage.resource AS ra
                  WHERE ra.tenant_id = a.tenant_id AND ra.type = 'RiskAssessment' AND ra.id = told.assessment_id
                    AND ra.version_id = told.assessment_version)
LIMIT %(most)s

-- name: I7.fired
-- No step began, and no message that asks for acknowledgement went out, after somebody had acknowledged, closed or snoozed
-- the alert (a message that was on its way then may still arrive, for as long as one attempt to send may take). The ledger
-- is written under the alert's lock, so its order is what happened. Walks alert_event_tenant back to :since, then the
-- events of each alert.
WITH first AS (
    SELECT coalesce((SELECT e.id FROM notify.alert_event AS e
                     WHERE e.tenant_id = %(tenant)s AND e.at < %(since)s ORDER BY e.id DESC LIMIT 1), 0) AS id),
told AS (
    SELECT e.alert_id, e.kind, e.at, e.step, before.kind AS before, before.at AS before_at
    FROM notify.alert_event AS e
    CROSS JOIN LATERAL (
        SELECT b.kind, b.at FROM notify.alert_event AS b
        WHERE b.alert_id = e.alert_id AND b.id < e.id
          AND b.kind IN ('opened', 'raised', 'woken', 'handed_over', 'acknowledged', 'started', 'completed', 'cancelled',
                         'rejected', 'snoozed')
        ORDER BY b.id DESC LIMIT 1) AS before
    WHERE e.tenant_id = %(tenant)s AND e.id > (SELECT id FROM first) AND e.kind IN ('repeated', 'delivered'))
SELECT CASE kind WHEN 'repeated' THEN 'told again after it was ' ELSE 'a message went out after it was ' END
       || before AS what, 'Task/' || alert_id AS id
FROM told
WHERE before IN ('acknowledged', 'started', 'completed', 'cancelled', 'rejected', 'snoozed')
  AND (kind = 'repeated' OR at - before_at > interval '65 seconds')
  AND NOT EXISTS (SELECT FROM notify.notice AS n WHERE n.alert_id = told.alert_id AND n.step = told.step)
LIMIT %(most)s

-- name: I8.response
-- Every version of a response is in the audit. Walks resource_last_updated of intake from :since, then audit_event_entity.
SELECT 'not in the audit' AS what, 'QuestionnaireResponse/' || r.id || '/_history/' || r.version_id AS id
FROM intake.resource AS r
WHERE r.tenant_id = %(tenant)s AND r.type = 'QuestionnaireResponse' AND r.is_current AND r.last_updated >= %(since)s
  AND NOT EXISTS (SELECT FROM intake.audit_event AS e
                  WHERE e.tenant_id = r.tenant_id AND e.ref_id = r.id AND e.type = r.type
                    AND e.ref_version = r.version_id AND e.interaction IN ('create', 'update'))
LIMIT %(most)s

-- name: I8.assessment
-- Every version of an assessment is in the audit. Walks resource_last_updated of triage from :since, then
-- audit_event_entity.
SELECT 'not in the audit' AS what, 'RiskAssessment/' || ra.id || '/_history/' || ra.version_id AS id
FROM triage.resource AS ra
WHERE ra.tenant_id = %(tenant)s AND ra.type = 'RiskAssessment' AND ra.is_current AND ra.last_updated >= %(since)s
  AND NOT EXISTS (SELECT FROM triage.audit_event AS e
                  WHERE e.tenant_id = ra.tenant_id AND e.ref_id = ra.id AND e.type = ra.type
                    AND e.ref_version = ra.version_id AND e.interaction IN ('create', 'update'))
LIMIT %(most)s

-- name: I8.alert
-- Every line of an alert's ledger is in the audit, written in the same transaction. Walks alert_event_tenant back to
-- :since, then audit_event_entity.
WITH first AS (
    SELECT coalesce((SELECT e.id FROM notify.alert_event AS e
                     WHERE e.tenant_id = %(tenant)s AND e.at < %(since)s ORDER BY e.id DESC LIMIT 1), 0) AS id)
SELECT 'the line ' || e.kind || ' of an alert is not in the audit' AS what, 'Task/' || e.alert_id AS id
FROM notify.alert_event AS e
WHERE e.tenant_id = %(tenant)s AND e.id > (SELECT id FROM first)
  AND NOT EXISTS (SELECT FROM notify.audit_event AS a
                  WHERE a.tenant_id = e.tenant_id AND a.ref_id = coalesce(e.delivery_id, e.alert_id)::text
                    AND a.word = e.kind AND a.recorded BETWEEN e.at - interval '15 seconds' AND e.at + interval '15 seconds')
LIMIT %(most)s

-- name: I8.unsealed
-- Every event of the audit is in a seal of the chain within a minute. Walks the primary key of audit_unsealed, which holds
-- only what waits; `chain.py` checks the seals themselves.
SELECT 'not sealed' AS what, 'intake/audit/' || number AS id FROM intake.audit_unsealed
WHERE tenant_id = %(tenant)s AND recorded < now() - interval '1 minute' - make_interval(secs => %(quiet)s)
UNION ALL
SELECT 'not sealed', 'triage/audit/' || number FROM triage.audit_unsealed
WHERE tenant_id = %(tenant)s AND recorded < now() - interval '1 minute' - make_interval(secs => %(quiet)s)
UNION ALL
SELECT 'not sealed', 'notify/audit/' || number FROM notify.audit_unsealed
WHERE tenant_id = %(tenant)s AND recorded < now() - interval '1 minute' - make_interval(secs => %(quiet)s)
LIMIT %(most)s

-- name: I10.outbox
-- Nothing that neighbours must be told waits. Reads the outboxes, which hold only what waits.
SELECT 'waits to be told' AS what, 'intake/outbox/' || queue || '/' || ref_id AS id FROM intake.outbox
WHERE tenant_id = %(tenant)s AND created_at < now() - make_interval(secs => %(quiet)s)
UNION ALL
SELECT 'waits to be told', 'triage/outbox/' || queue || '/' || ref_id FROM triage.outbox
WHERE tenant_id = %(tenant)s AND created_at < now() - make_interval(secs => %(quiet)s)
UNION ALL
SELECT 'waits to be told', 'notify/outbox/' || queue || '/' || ref_id FROM notify.outbox
WHERE tenant_id = %(tenant)s AND created_at < now() - make_interval(secs => %(quiet)s)
LIMIT %(most)s

-- name: I10.work
-- No work is due for long, and no lease is over for long. Walks job_due, subscription_due and write_back_due, which hold
-- only what waits.
SELECT CASE state WHEN 'running' THEN 'its lease is over' ELSE 'due, and not done' END AS what,
       'triage/job/' || kind || '/' || ref_id || '/' || ref_version AS id
FROM triage.job
WHERE is_open AND tenant_id = %(tenant)s
  AND ((state = 'pending' AND due_at < now() - make_interval(secs => %(quiet)s))
    OR (state = 'running' AND lease_until < now() - make_interval(secs => %(quiet)s)))
UNION ALL
SELECT CASE state WHEN 'running' THEN 'its lease is over' ELSE 'due, and not done' END,
       'notify/job/' || split_part(kind, '/', 1) || '/' || ref_id || '/' || ref_version
FROM notify.job
WHERE is_open AND tenant_id = %(tenant)s
  AND ((state = 'pending' AND due_at < now() - make_interval(secs => %(quiet)s))
    OR (state = 'running' AND lease_until < now() - make_interval(secs => %(quiet)s)))
UNION ALL
SELECT 'due, and not told', 'Subscription/' || id FROM notify.subscription
WHERE tenant_id = %(tenant)s AND due_at < now() - make_interval(secs => %(quiet)s)
  AND coalesce(lease_until, '-infinity') < now() - make_interval(secs => %(quiet)s)
UNION ALL
SELECT 'due, and not written back', type || '/' || id FROM notify.write_back
WHERE tenant_id = %(tenant)s AND due_at < now() - make_interval(secs => %(quiet)s)
  AND coalesce(lease_until, '-infinity') < now() - make_interval(secs => %(quiet)s)
LIMIT %(most)s

-- name: texts
-- For I1: every version of the responses that changed, with its text and the digest that was taken when it came. Walks
-- resource_last_updated of intake from :since, then the primary key.
SELECT v.id, v.body, v.sha256
FROM intake.resource AS r JOIN intake.resource AS v USING (tenant_id, type, id)
WHERE r.tenant_id = %(tenant)s AND r.type = 'QuestionnaireResponse' AND r.is_current AND r.last_updated >= %(since)s

-- name: stored
-- For I1 with a ledger: the digest of each version that somebody outside noted. Walks the primary key.
SELECT noted.id, noted.version, encode(r.sha256, 'hex') AS sha256
FROM unnest(%(ids)s::text[], %(versions)s::integer[]) AS noted (id, version)
LEFT JOIN intake.resource AS r ON r.tenant_id = %(tenant)s AND r.type = 'QuestionnaireResponse' AND r.id = noted.id
    AND r.version_id = noted.version

-- name: sample
-- For I3: some assessments to be made again, drawn by chance, with what they were made of. Walks resource_last_updated of
-- triage from :since, without the texts, then primary keys.
SELECT ra.id, ra.version_id, ra.last_updated, ra.body, a.pack, a.pack_version, a.pack_sha256, a.response_id,
       a.response_version, r.body AS response, r.sha256 AS response_sha256, r.last_updated AS response_at,
       run.ran_at, run.subject
FROM (SELECT tenant_id, type, id, version_id FROM triage.resource
      WHERE tenant_id = %(tenant)s AND type = 'RiskAssessment' AND is_current AND last_updated >= %(since)s
      ORDER BY random() LIMIT %(number)s) AS drawn
JOIN triage.resource AS ra USING (tenant_id, type, id, version_id)
JOIN triage.assessment AS a ON a.tenant_id = ra.tenant_id AND a.id = ra.id
JOIN triage.assessment_run AS run ON run.tenant_id = a.tenant_id AND run.response_id = a.response_id
    AND run.response_version = a.response_version AND run.pack = a.pack AND run.pack_version = a.pack_version
JOIN intake.resource AS r ON r.tenant_id = a.tenant_id AND r.type = 'QuestionnaireResponse' AND r.id = a.response_id
    AND r.version_id = a.response_version
WHERE a.pack <> 'none'

-- name: earlier
-- For I3: what was known of the patient when an assessment was made, as triage asks for it (services/triage/store.sql).
WITH lately AS (
    SELECT response_id, response_version, urgency, withdrawn, by_clinician, ran_at FROM triage.assessment_run
    WHERE tenant_id = %(tenant)s AND pack = %(pack)s AND ran_at < %(ran_at)s
      AND ran_at > %(ran_at)s - make_interval(hours => %(hours)s)
      AND (response_id = %(response_id)s OR subject = %(subject)s)),
standing AS (
    SELECT urgency, by_clinician, ran_at FROM lately
    WHERE NOT withdrawn AND NOT EXISTS (
        SELECT FROM lately AS later
        WHERE later.response_id = lately.response_id AND later.withdrawn
          AND later.response_version > lately.response_version))
SELECT DISTINCT urgency FROM standing
WHERE urgency IS NOT NULL
  AND ran_at >= coalesce((SELECT max(ran_at) FROM standing WHERE by_clinician), '-infinity')

-- name: questionnaire
-- For I3: the text of a Questionnaire as a tenant sees it. Walks the primary key of questionnaire, then that of resource.
SELECT r.body FROM intake.questionnaire AS q
JOIN intake.resource AS r ON r.tenant_id = q.tenant_id AND r.type = 'Questionnaire' AND r.id = q.id
    AND r.version_id = q.version_id
WHERE q.url = %(url)s AND q.version = %(version)s AND q.tenant_id IN (%(tenant)s, intake.published_tenant())
ORDER BY q.tenant_id = %(tenant)s DESC LIMIT 1

-- name: seals_back
-- For I8: seals from the newest back. Walks the primary key of audit_seal.
SELECT position, numbers, digests, hash, sealed_at FROM audit_seal
WHERE tenant_id = %(tenant)s AND position < %(before)s ORDER BY position DESC LIMIT %(limit)s

-- name: events_numbered
-- For I8: events of a seal, which were recorded shortly before it. Walks the primary key of audit_event.
SELECT tenant_id, number, recorded, interaction, word, outcome, agent, address, type, ref_id, ref_version, patient, query,
       request
FROM audit_event
WHERE tenant_id = %(tenant)s AND recorded BETWEEN %(sealed_at)s - interval '1 day' AND %(sealed_at)s
  AND number = ANY (%(numbers)s)
