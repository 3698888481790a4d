-- Named queries of services/notify/worklist/store.py. Columns of alerts are named one by one, as in services/notify/store.sql.

-- name: page
-- One page of the worklist: of each section as many alerts as asked for, in its order, with what was told and how many
-- assessments stand behind it. `after_*` continues the one section that is asked for. Each section reads its own index.
WITH picked AS (
    (SELECT 'waiting' AS section, 0 AS turn, id,
            row_number() OVER (ORDER BY urgency <> 'emergency', opened_at, id) AS place
     FROM alert
     WHERE tenant_id = %(tenant_id)s AND state IN ('requested', 'received') AND NOT synthetic
       AND (%(after_id)s::uuid IS NULL OR (urgency <> 'emergency', opened_at, id)
                                        > (%(after_late)s, %(after_at)s, %(after_id)s))
       AND (%(everything)s OR worklist_matches(alert, %(urgency)s, %(pathway)s, %(team)s, %(mine)s, %(person)s,
                                               %(name)s, %(told)s, %(words)s))
     ORDER BY urgency <> 'emergency', opened_at, id LIMIT %(waiting)s)
    UNION ALL
    (SELECT 'snoozed', 1, id, row_number() OVER (ORDER BY snoozed_until, id)
     FROM alert
     WHERE tenant_id = %(tenant_id)s AND state = 'on-hold' AND NOT synthetic
       AND (%(after_id)s::uuid IS NULL OR (snoozed_until, id) > (%(after_at)s, %(after_id)s))
       AND (%(everything)s OR worklist_matches(alert, %(urgency)s, %(pathway)s, %(team)s, %(mine)s, %(person)s,
                                               %(name)s, %(told)s, %(words)s))
     ORDER BY snoozed_until, id LIMIT %(snoozed)s)
    UNION ALL
    (SELECT 'held', 2, id, row_number() OVER (ORDER BY acknowledged_at DESC, id DESC)
     FROM alert
     WHERE tenant_id = %(tenant_id)s AND state IN ('accepted', 'in-progress') AND NOT synthetic
       AND (%(after_id)s::uuid IS NULL OR (acknowledged_at, id) < (%(after_at)s, %(after_id)s))
       AND (%(everything)s OR worklist_matches(alert, %(urgency)s, %(pathway)s, %(team)s, %(mine)s, %(person)s,
                                               %(name)s, %(told)s, %(words)s))
     ORDER BY acknowledged_at DESC, id DESC LIMIT %(held)s)
    UNION ALL
    (SELECT 'closed', 3, id, row_number() OVER (ORDER BY closed_at DESC, id DESC)
     FROM alert
     WHERE tenant_id = %(tenant_id)s AND closed_at > now() - interval '24 hours' AND NOT synthetic
       AND (%(after_id)s::uuid IS NULL OR (closed_at, id) < (%(after_at)s, %(after_id)s))
       AND (%(everything)s OR worklist_matches(alert, %(urgency)s, %(pathway)s, %(team)s, %(mine)s, %(person)s,
                                               %(name)s, %(told)s, %(words)s))
     ORDER BY closed_at DESC, id DESC LIMIT %(closed)s)
)
SELECT picked.section, alert.id, alert.tenant_id, alert.subject_key, alert.pathway, alert.subject, alert.state,
       alert.urgency, alert.first_step, alert.step, alert.task_version, alert.opened_at, alert.due_at,
       alert.acknowledged_at, alert.acknowledged_by, alert.closed_at, alert.withdrawn_at, alert.refused_client,
       alert.refused_at, alert.policy, alert.policy_version, alert.team, alert.position, alert.round, alert.exhausted_at,
       alert.owner, alert.snoozed_until, alert.snoozes, alert.outcome, alert.override_reason, alert.synthetic, now() AS now,
       held.assessments, held.assessment_id, told.deliveries
FROM picked
JOIN alert ON alert.tenant_id = %(tenant_id)s AND alert.id = picked.id
CROSS JOIN LATERAL (
    SELECT count(*) AS assessments,
           (array_agg(a.assessment_id ORDER BY a.stands DESC, a.urgency = alert.urgency DESC, a.joined_at DESC))[1]
           AS assessment_id
    FROM alert_assessment AS a WHERE a.tenant_id = %(tenant_id)s AND a.alert_id = alert.id) AS held
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('person', s.person, 'channel', s.channel, 'state', s.state, 'number', s.number)
                     ORDER BY s.person NULLS LAST, s.channel, s.state) AS deliveries
    FROM (SELECT d.person, d.channel, d.state, count(*) AS number FROM delivery AS d
          WHERE d.alert_id = alert.id AND d.step >= alert.first_step AND NOT EXISTS (
              SELECT FROM notice AS n WHERE n.alert_id = alert.id AND n.step = d.step)
          GROUP BY d.person, d.channel, d.state) AS s) AS told
ORDER BY picked.turn, picked.place

-- name: counts
-- How many alerts there are and how many of them match, by section and by what they can be filtered by.
SELECT 'waiting' AS section, urgency, pathway, team, count(*) AS number, count(*) FILTER (
           WHERE %(everything)s OR worklist_matches(alert, %(urgency)s, %(pathway)s, %(team)s, %(mine)s, %(person)s,
                                               %(name)s, %(told)s, %(words)s)) AS matching
FROM alert WHERE tenant_id = %(tenant_id)s AND state IN ('requested', 'received') AND NOT synthetic
GROUP BY urgency, pathway, team
UNION ALL
SELECT 'snoozed', urgency, pathway, team, count(*), count(*) FILTER (
           WHERE %(everything)s OR worklist_matches(alert, %(urgency)s, %(pathway)s, %(team)s, %(mine)s, %(person)s,
                                               %(name)s, %(told)s, %(words)s))
FROM alert WHERE tenant_id = %(tenant_id)s AND state = 'on-hold' AND NOT synthetic
GROUP BY urgency, pathway, team
UNION ALL
SELECT 'held', urgency, pathway, team, count(*), count(*) FILTER (
           WHERE %(everything)s OR worklist_matches(alert, %(urgency)s, %(pathway)s, %(team)s, %(mine)s, %(person)s,
                                               %(name)s, %(told)s, %(words)s))
FROM alert WHERE tenant_id = %(tenant_id)s AND state IN ('accepted', 'in-progress') AND NOT synthetic
GROUP BY urgency, pathway, team
UNION ALL
SELECT 'closed', urgency, pathway, team, count(*), count(*) FILTER (
           WHERE %(everything)s OR worklist_matches(alert, %(urgency)s, %(pathway)s, %(team)s, %(mine)s, %(person)s,
                                               %(name)s, %(told)s, %(words)s))
FROM alert WHERE tenant_id = %(tenant_id)s AND closed_at > now() - interval '24 hours' AND NOT synthetic
GROUP BY urgency, pathway, team

-- name: told
-- Alerts that wait and that a person was told of.
SELECT DISTINCT alert_id FROM delivery
WHERE tenant_id = %(tenant_id)s AND person = %(person)s AND alert_id IN (
    SELECT id FROM alert WHERE tenant_id = %(tenant_id)s AND state IN ('requested', 'received', 'on-hold'))

-- name: newest_change
-- The number of the newest change of a tenant; 0 before the first.
SELECT coalesce((SELECT id FROM alert_event WHERE tenant_id = %(tenant_id)s ORDER BY id DESC LIMIT 1), 0) AS number

-- name: changes
SELECT tenant_id, id FROM alert_changes(%(after)s)

-- name: settled
SELECT settled_alert_change(%(late_s)s) AS number

-- name: settled_of
-- The same of one tenant.
SELECT coalesce((SELECT id FROM alert_event
                 WHERE tenant_id = %(tenant_id)s AND at < now() - make_interval(secs => %(late_s)s)
                 ORDER BY id DESC LIMIT 1), 0) AS number

-- name: acts
-- What people did and wrote in the hours before, newest first: lines of the ledger that have a person, and notes of
-- people in the Tasks that changed since.
SELECT e.at, e.person, e.person_id, e.kind, e.detail, e.reason, e.target, e.until, NULL AS note, a.id AS alert_id,
       a.subject, a.urgency
FROM alert_event AS e JOIN alert AS a ON a.tenant_id = e.tenant_id AND a.id = e.alert_id
WHERE e.tenant_id = %(tenant_id)s AND e.person IS NOT NULL AND e.at > now() - make_interval(hours => %(hours)s)
  AND NOT a.synthetic
UNION ALL
SELECT (n.note ->> 'time')::timestamptz, n.note ->> 'authorString', NULL, 'note', NULL, NULL, NULL, NULL,
       n.note ->> 'text', a.id, a.subject, a.urgency
FROM resource AS r
JOIN alert AS a ON a.tenant_id = r.tenant_id AND a.id::text = r.id
CROSS JOIN LATERAL jsonb_array_elements(convert_from(r.body, 'UTF8')::jsonb -> 'note') AS n (note)
WHERE r.tenant_id = %(tenant_id)s AND r.type = 'Task' AND r.is_current AND NOT a.synthetic
  AND r.last_updated > now() - make_interval(hours => %(hours)s)
  AND (n.note ->> 'time')::timestamptz > now() - make_interval(hours => %(hours)s)
  AND n.note ->> 'authorString' <> 'Sural'
ORDER BY at DESC LIMIT %(most)s
