-- Named queries of services/notify/detail/store.py. Columns of alerts are named one by one, as in services/notify/store.sql.

-- name: alert
-- One alert as it is now, not locked.
SELECT id, tenant_id, subject_key, pathway, subject, state, urgency, first_step, step, task_version, opened_at, due_at,
       acknowledged_at, acknowledged_by, closed_at, withdrawn_at, refused_client, refused_at, policy, policy_version,
       team, position, round, exhausted_at, owner, snoozed_until, snoozes, outcome, override_reason, synthetic, now() AS now
FROM alert WHERE tenant_id = %(tenant_id)s AND id = %(alert_id)s

-- name: alerts_of_patient
-- All alerts of a patient, newest first.
SELECT id, tenant_id, subject_key, pathway, subject, state, urgency, first_step, step, task_version, opened_at, due_at,
       acknowledged_at, acknowledged_by, closed_at, withdrawn_at, refused_client, refused_at, policy, policy_version,
       team, position, round, exhausted_at, owner, snoozed_until, snoozes, outcome, override_reason, synthetic, now() AS now
FROM alert WHERE tenant_id = %(tenant_id)s AND subject_key = %(subject_key)s
ORDER BY opened_at DESC LIMIT %(limit)s

-- name: assessments
-- Every version of an assessment that an alert stands for: first the one that matters most, as on the worklist.
SELECT held.assessment_id, held.assessment_version, held.urgency, held.joined_at, held.stands, held.submission
FROM alert_assessment AS held JOIN alert ON alert.tenant_id = held.tenant_id AND alert.id = held.alert_id
WHERE held.tenant_id = %(tenant_id)s AND held.alert_id = %(alert_id)s
ORDER BY held.stands DESC, held.urgency = alert.urgency DESC, held.joined_at DESC, held.assessment_version DESC

-- name: alerts_of_assessments
-- Which alerts stand for these assessments.
SELECT DISTINCT assessment_id, alert_id FROM alert_assessment
WHERE tenant_id = %(tenant_id)s AND assessment_id = ANY (%(ids)s)

-- name: ledger
-- All that happened to an alert, in order, with the message that an event is about.
SELECT alert_event.id, alert_event.tenant_id, alert_event.alert_id, alert_event.at, alert_event.kind, alert_event.person,
       alert_event.step, alert_event.delivery_id, alert_event.assessment_id, alert_event.assessment_version,
       alert_event.detail, alert_event.way, alert_event.person_id, alert_event.target, alert_event.until,
       alert_event.reason, delivery.channel, delivery.recipient, delivery.person AS told, delivery.answer
FROM alert_event LEFT JOIN delivery
    ON delivery.tenant_id = alert_event.tenant_id AND delivery.id = alert_event.delivery_id
WHERE alert_event.tenant_id = %(tenant_id)s AND alert_event.alert_id = %(alert_id)s
ORDER BY alert_event.id

-- name: unsent
-- Messages that have no outcome yet, oldest first.
SELECT id, step, channel, recipient, person AS told, state, attempts, answer, created_at FROM delivery
WHERE tenant_id = %(tenant_id)s AND alert_id = %(alert_id)s AND state = 'pending' ORDER BY created_at, channel, recipient

-- name: add_feedback
INSERT INTO feedback (tenant_id, alert_id, assessment_id, assessment_version, person, account, verdict, comment, flags)
VALUES (%(tenant_id)s, %(alert_id)s, %(assessment_id)s, %(assessment_version)s, %(person)s, %(account)s, %(verdict)s,
        %(comment)s, %(flags)s)

-- name: feedback
-- What was said of the assessments of an alert, newest first.
SELECT at, person, verdict, comment, assessment_id, assessment_version FROM feedback
WHERE tenant_id = %(tenant_id)s AND alert_id = %(alert_id)s ORDER BY id DESC

-- name: feedback_by_flag
-- How often each verdict was given on assessments in which a flag fired, since a time. Of somebody who spoke twice on
-- the same version, the last word counts. A synthetic alert counts nothing.
SELECT flag, verdict, count(*) AS number
FROM (
    SELECT DISTINCT ON (said.assessment_id, said.assessment_version, said.person) said.verdict, said.flags
    FROM feedback AS said JOIN alert ON alert.tenant_id = said.tenant_id AND alert.id = said.alert_id
    WHERE said.tenant_id = %(tenant_id)s AND said.at >= %(since)s AND NOT alert.synthetic
    ORDER BY said.assessment_id, said.assessment_version, said.person, said.id DESC
) AS last_word CROSS JOIN LATERAL unnest(last_word.flags) AS flag
GROUP BY flag, verdict ORDER BY flag, verdict
