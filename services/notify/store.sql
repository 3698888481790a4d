-- Named queries of services/notify/store.py. Columns are named one by one: a statement that is kept for use would fail once
-- a newer version of Sural has given the table one more.

-- name: meet_assessment
SELECT now, withdrawn_version, seen, document, document_sha256,
       (held).id, (held).tenant_id, (held).subject_key, (held).pathway, (held).subject, (held).state, (held).urgency,
       (held).first_step, (held).step, (held).task_version, (held).opened_at, (held).due_at, (held).acknowledged_at,
       (held).acknowledged_by, (held).closed_at, (held).withdrawn_at, (held).refused_client, (held).refused_at,
       (held).policy, (held).policy_version, (held).team, (held).position, (held).round, (held).exhausted_at, (held).owner,
       (held).snoozed_until, (held).snoozes, (held).outcome, (held).override_reason, (held).synthetic
FROM meet_assessment(%(tenant_id)s, %(assessment_id)s, %(version)s, %(kind)s, %(token)s, %(subject_key)s, %(pathway)s,
                     %(submission)s)

-- name: take_message
SELECT job_tenant, job_id, job_version, job_token, job_attempts, job_error, job_age_s, more, told_alert, told_channel,
       told_recipient, told_person, told_urgency, told_state, told_attempts, told_answer, told_since, told_notice,
       (held).id, (held).tenant_id, (held).subject_key, (held).pathway, (held).subject, (held).state, (held).urgency,
       (held).first_step, (held).step, (held).task_version, (held).opened_at, (held).due_at, (held).acknowledged_at,
       (held).acknowledged_by, (held).closed_at, (held).withdrawn_at, (held).refused_client, (held).refused_at,
       (held).policy, (held).policy_version, (held).team, (held).position, (held).round, (held).exhausted_at, (held).owner,
       (held).snoozed_until, (held).snoozes, (held).outcome, (held).override_reason, (held).synthetic
FROM take_message(%(kind)s, %(min_age_s)s, %(lease_s)s, %(link)s, %(lasts)s)

-- name: meet_outcome
SELECT now, task, request, versions, others_pending, others_sent, missed,
       (held).id, (held).tenant_id, (held).subject_key, (held).pathway, (held).subject, (held).state, (held).urgency,
       (held).first_step, (held).step, (held).task_version, (held).opened_at, (held).due_at, (held).acknowledged_at,
       (held).acknowledged_by, (held).closed_at, (held).withdrawn_at, (held).refused_client, (held).refused_at,
       (held).policy, (held).policy_version, (held).team, (held).position, (held).round, (held).exhausted_at, (held).owner,
       (held).snoozed_until, (held).snoozes, (held).outcome, (held).override_reason, (held).synthetic
FROM meet_outcome(%(tenant_id)s, %(delivery_id)s, %(alert_id)s, %(request_id)s, %(kind)s, %(step)s, %(token)s)

-- name: write_alert
SELECT write_alert(%(tenant_id)s, %(alert_id)s, %(rows)s::jsonb, %(new)s::jsonb, %(bodies)b, %(digests)b) AS written

-- name: add_to_alert
SELECT add_to_alert(%(tenant_id)s, %(alert_id)s, %(rows)s::jsonb)

-- name: lock_alert
-- One alert, locked: acknowledging, firing a step and recording a delivery wait for each other here.
SELECT id, tenant_id, subject_key, pathway, subject, state, urgency, first_step, step, task_version, opened_at, due_at,
       acknowledged_at, acknowledged_by, closed_at, withdrawn_at, refused_client, refused_at, policy, policy_version,
       team, position, round, exhausted_at, owner, snoozed_until, snoozes, outcome, override_reason, synthetic
FROM alert WHERE tenant_id = %(tenant_id)s AND id = %(id)s FOR UPDATE

-- name: due_alerts
SELECT tenant_id, id FROM due_alerts(%(most)s)

-- name: tenants_waiting
SELECT tenants_waiting() AS tenant

-- name: lock_due_alert
-- An alert that must be told again, locked. One that is locked already is being acknowledged or fired elsewhere.
SELECT id, tenant_id, subject_key, pathway, subject, state, urgency, first_step, step, task_version, opened_at, due_at,
       acknowledged_at, acknowledged_by, closed_at, withdrawn_at, refused_client, refused_at, policy, policy_version,
       team, position, round, exhausted_at, owner, snoozed_until, snoozes, outcome, override_reason, synthetic
FROM alert WHERE tenant_id = %(tenant_id)s AND id = %(id)s AND due_at <= now() FOR UPDATE SKIP LOCKED

-- name: update_alert
UPDATE alert SET state = %(state)s, urgency = %(urgency)s, first_step = %(first_step)s, step = %(step)s,
                 task_version = %(task_version)s, due_at = %(due_at)s, acknowledged_at = %(acknowledged_at)s,
                 acknowledged_by = %(acknowledged_by)s, closed_at = %(closed_at)s, withdrawn_at = %(withdrawn_at)s,
                 subject_key = %(subject_key)s, subject = %(subject)s, refused_client = %(refused_client)s,
                 refused_at = %(refused_at)s, policy = %(policy)s, policy_version = %(policy_version)s, team = %(team)s,
                 position = %(position)s, round = %(round)s, exhausted_at = %(exhausted_at)s, owner = %(owner)s,
                 snoozed_until = %(snoozed_until)s, snoozes = %(snoozes)s, outcome = %(outcome)s,
                 override_reason = %(override_reason)s
WHERE tenant_id = %(tenant_id)s AND id = %(id)s

-- name: add_assessment
INSERT INTO alert_assessment (tenant_id, assessment_id, assessment_version, alert_id, urgency, joined_at, stands,
                              submission)
VALUES (%(tenant_id)s, %(assessment_id)s, %(assessment_version)s, %(alert_id)s, %(urgency)s, %(joined_at)s, %(stands)s,
        %(submission)s)

-- name: note_withdrawn
INSERT INTO withdrawn_assessment AS known (tenant_id, assessment_id, assessment_version)
VALUES (%(tenant_id)s, %(id)s, %(version)s)
ON CONFLICT (tenant_id, assessment_id) DO UPDATE
SET assessment_version = greatest(known.assessment_version, excluded.assessment_version)

-- name: standing
-- Another assessment of this alert whose newest version still asks for an alert, the most urgent first.
SELECT newest.assessment_id FROM (
    SELECT DISTINCT ON (held.assessment_id) held.assessment_id, held.urgency, held.stands, held.joined_at
    FROM alert_assessment AS held
    WHERE held.tenant_id = %(tenant_id)s AND held.assessment_id <> %(but)s AND held.assessment_id IN (
        SELECT mine.assessment_id FROM alert_assessment AS mine
        WHERE mine.tenant_id = %(tenant_id)s AND mine.alert_id = %(alert_id)s)
    ORDER BY held.assessment_id, held.assessment_version DESC) AS newest
WHERE newest.stands ORDER BY newest.urgency = 'emergency' DESC, newest.joined_at DESC LIMIT 1

-- name: add_notice
INSERT INTO notice (tenant_id, alert_id, step, kind, assessment_id, assessment_version, still_open, given_at)
VALUES (%(tenant_id)s, %(alert_id)s, %(step)s, %(kind)s, %(assessment_id)s, %(assessment_version)s, %(still_open)s,
        %(given_at)s)

-- name: told_recipients
-- Everybody to whom a message of this alert went out, notices apart.
SELECT DISTINCT channel, recipient, person FROM delivery
WHERE tenant_id = %(tenant_id)s AND alert_id = %(alert_id)s AND state = 'sent'
  AND NOT EXISTS (SELECT FROM notice WHERE notice.alert_id = delivery.alert_id AND notice.step = delivery.step)
ORDER BY channel, recipient, person

-- name: alerted
-- Which of these assessments any alert stands for.
SELECT DISTINCT assessment_id FROM alert_assessment
WHERE tenant_id = %(tenant_id)s AND assessment_id = ANY (%(ids)s)

-- name: assessments
-- How many versions of assessments an alert stands for.
SELECT count(*) AS number FROM alert_assessment WHERE tenant_id = %(tenant_id)s AND alert_id = %(alert_id)s

-- name: pending_recipients
-- Who a message of the present urgency is still being tried for.
SELECT channel, recipient FROM delivery
WHERE alert_id = %(alert_id)s AND step >= %(first_step)s AND state = 'pending'
  AND (held_until IS NULL OR held_until <= now())
  AND NOT EXISTS (SELECT FROM notice WHERE notice.alert_id = delivery.alert_id AND notice.step = delivery.step)

-- name: held_recipients
-- Who a message of the present urgency waits for until their quiet hours end.
SELECT channel, recipient FROM delivery
WHERE alert_id = %(alert_id)s AND step >= %(first_step)s AND state = 'pending' AND held_until > now()

-- name: delivery
-- `created_at`: since when it may go out; a message that waits for the end of quiet hours is not yet being tried.
SELECT id, tenant_id, alert_id, step, channel, recipient, person, urgency, state, attempts, answer,
       greatest(created_at, held_until) AS created_at, sent_at,
       (SELECT kind FROM notice WHERE notice.alert_id = delivery.alert_id AND notice.step = delivery.step) AS notice
FROM delivery WHERE tenant_id = %(tenant_id)s AND id = %(id)s

-- name: reach_since
-- How far the messages of an alert have come since one step, notices apart. Held ones wait for somebody's quiet hours.
SELECT count(*) FILTER (WHERE state = 'sent') AS sent,
       count(*) FILTER (WHERE state = 'pending' AND attempts = 0 AND (held_until IS NULL OR held_until <= now()))
           AS untried,
       count(*) FILTER (WHERE state = 'pending' AND attempts > 0) AS trying,
       count(*) FILTER (WHERE state IN ('failed', 'dead')) AS lost
FROM delivery
WHERE alert_id = %(alert_id)s AND step >= %(step)s
  AND NOT EXISTS (SELECT FROM notice WHERE notice.alert_id = delivery.alert_id AND notice.step = delivery.step)

-- name: unreached_steps
-- How many steps in a row reached nobody, and whether this is known of the present step.
SELECT count(*) AS number, coalesce(bool_or(step = %(step)s), false) AS noted FROM alert_event
WHERE alert_id = %(alert_id)s AND kind = 'reached_nobody' AND id > coalesce((
    SELECT max(id) FROM alert_event
    WHERE alert_id = %(alert_id)s AND kind IN ('delivered', 'raised', 'exhausted')), 0)

-- name: without_due
-- Open and snoozed alerts that nothing would ever tell again: due now, or at the end of their snooze.
UPDATE alert SET due_at = greatest(now(), snoozed_until)
WHERE state IN ('requested', 'received', 'on-hold') AND due_at IS NULL

-- name: untold
-- Open alerts without a single delivery, although there is somebody to tell: due now.
UPDATE alert SET due_at = now()
WHERE state IN ('requested', 'received') AND due_at > now()
  AND NOT EXISTS (SELECT FROM delivery WHERE delivery.alert_id = alert.id)

-- name: overdue
-- Open alerts that should have been told again a minute ago.
SELECT id FROM alert WHERE tenant_id = %(tenant_id)s AND due_at < now() - interval '1 minute' ORDER BY due_at LIMIT 50

-- name: due_too_late
-- Open alerts that would wait longer than any policy may say; whoever is snoozed waits as long as was asked for.
UPDATE alert SET due_at = now() + %(longest)s
WHERE state IN ('requested', 'received') AND urgency = %(urgency)s
  AND due_at > now() + %(longest)s + interval '5 seconds'

-- name: snoozed_too_long
-- Snoozed alerts that would be silent for longer than anybody can ask for: due now.
UPDATE alert SET due_at = now()
WHERE state = 'on-hold' AND urgency = %(urgency)s AND due_at > now() + %(longest)s + interval '5 seconds'

-- name: hasten_messages
SELECT hasten_messages(%(lanes)s, %(longest)s, %(held)s, %(slack)s) AS number

-- name: chains
-- The policies that open alerts follow, each with the furthest step of one whose chain has not ended.
SELECT policy, policy_version, urgency, max(position) AS furthest FROM alert
WHERE tenant_id = %(tenant_id)s AND state IN ('requested', 'received') AND exhausted_at IS NULL AND policy IS NOT NULL
GROUP BY policy, policy_version, urgency

-- name: past_policy
-- Open alerts at a step that their policy does not have: due now.
UPDATE alert SET due_at = now()
WHERE tenant_id = %(tenant_id)s AND state IN ('requested', 'received') AND exhausted_at IS NULL
  AND policy = %(policy)s AND policy_version IS NOT DISTINCT FROM %(policy_version)s AND urgency = %(urgency)s
  AND position >= %(steps)s AND due_at > now()

-- name: orphaned
-- Deliveries still to be made that no job stands for.
SELECT delivery.id, delivery.tenant_id, delivery.step, delivery.channel, delivery.recipient, delivery.urgency
FROM delivery
WHERE delivery.state = 'pending' AND NOT EXISTS (
    SELECT FROM job WHERE job.tenant_id = delivery.tenant_id AND job.ref_id = delivery.id::text
    AND job.ref_version = delivery.step AND job.kind LIKE 'deliver.%%' AND job.is_open)
LIMIT 200

-- name: revive_job
INSERT INTO job (tenant_id, kind, ref_id, ref_version)
VALUES (%(tenant_id)s, %(kind)s, %(ref_id)s, %(ref_version)s)
ON CONFLICT (tenant_id, kind, ref_id, ref_version) DO UPDATE
SET state = 'pending', attempts = 0, due_at = now(), lease_token = NULL, lease_until = NULL
WHERE job.state IN ('done', 'dead')

-- name: count_repair
INSERT INTO repair (kind, number) VALUES (%(kind)s, %(number)s)
ON CONFLICT (kind) DO UPDATE SET number = repair.number + excluded.number

-- name: repairs
SELECT kind, number FROM repair ORDER BY kind

-- name: measure_alerts
SELECT urgency, state, number, oldest_s, overdue_s FROM open_alerts()

-- name: measure_deliveries
SELECT channel, state, number FROM deliveries_of_a_day()

-- name: measure_unreached
SELECT steps_that_reached_nobody() AS number
