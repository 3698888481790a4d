-- Named queries of services/notify/fatigue/store.py.

-- name: lock_budgets
-- Nobody else counts what these were told until this transaction ends; always in the same order.
SELECT pg_advisory_xact_lock(hashtextextended('budget/' || %(tenant_id)s::text || '/' || key, 0))
FROM (SELECT unnest(%(keys)s::text[]) AS key ORDER BY 1) AS whose

-- name: told_lately
-- Of how many steps that were no emergencies each was told, or will be, since then.
SELECT key, count(DISTINCT (alert_id, step)) AS number
FROM (SELECT alert_id, step, coalesce(person, channel || '/' || recipient) AS key FROM delivery
      WHERE tenant_id = %(tenant_id)s AND urgency <> 'emergency' AND created_at >= %(since)s
        AND state IN ('sent', 'pending') AND (held_until IS NULL OR held_until <= now())) AS told
WHERE key = ANY (%(keys)s) GROUP BY key

-- name: note_flags
INSERT INTO alert_flag (tenant_id, alert_id, flag)
SELECT %(tenant_id)s, %(alert_id)s, flag FROM unnest(%(flags)s::text[]) AS flag ON CONFLICT DO NOTHING

-- name: note_quiet
-- A catch-up sees each several times: what is known is left out first, as a conflict would lock and write its row.
INSERT INTO quiet_assessment AS held (tenant_id, assessment_id, urgency)
SELECT %(tenant_id)s, id, urgency FROM unnest(%(ids)s::text[], %(urgencies)s::text[]) AS given (id, urgency)
WHERE NOT EXISTS (
    SELECT FROM quiet_assessment AS q
    WHERE q.tenant_id = %(tenant_id)s AND q.assessment_id = given.id AND q.urgency = given.urgency)
ON CONFLICT (tenant_id, assessment_id) DO UPDATE SET urgency = excluded.urgency WHERE held.urgency <> excluded.urgency

-- name: forget_quiet
DELETE FROM quiet_assessment WHERE tenant_id = %(tenant_id)s AND noted_at < now() - interval '8 days'

-- name: tenants_with_news
SELECT tenants_with_news(now() - interval '25 hours') AS tenant

-- name: last_digest
-- Until when the last digest to this address counted.
SELECT max(until) AS until FROM digest WHERE tenant_id = %(tenant_id)s AND recipient = %(recipient)s AND day < %(day)s

-- name: take_digest
-- The digest of this day to this address, for whoever tries it now; no row when it was sent, or somebody else tries it.
INSERT INTO digest AS held (tenant_id, recipient, day, id, since, until, due_at)
VALUES (%(tenant_id)s, %(recipient)s, %(day)s, %(id)s, %(since)s, now(), now() + interval '5 minutes')
ON CONFLICT (tenant_id, recipient, day) DO UPDATE SET due_at = excluded.due_at
WHERE held.sent_at IS NULL AND held.answer IS DISTINCT FROM 'nothing-to-say' AND held.due_at <= now()
RETURNING id, since, until

-- name: end_digest
UPDATE digest SET answer = %(answer)s, sent_at = CASE WHEN %(sent)s THEN now() END
WHERE tenant_id = %(tenant_id)s AND recipient = %(recipient)s AND day = %(day)s

-- name: quiet_counts
SELECT urgency, count(*) AS number FROM quiet_assessment
WHERE tenant_id = %(tenant_id)s AND noted_at >= %(since)s AND noted_at < %(until)s GROUP BY urgency

-- name: unresolved
-- Alerts that somebody acknowledged and nobody closed: of these teams, or of no team. NULL: of all.
SELECT count(*) AS number FROM alert
WHERE tenant_id = %(tenant_id)s AND state IN ('accepted', 'in-progress') AND NOT synthetic
  AND (%(teams)s::text[] IS NULL OR team IS NULL OR team = ANY (%(teams)s))

-- name: spared
-- Messages that this person was spared, or that waited for the end of quiet hours.
SELECT count(*) FILTER (WHERE state = 'suppressed') AS suppressed,
       count(*) FILTER (WHERE held_until IS NOT NULL AND state <> 'suppressed') AS held
FROM delivery
WHERE tenant_id = %(tenant_id)s AND urgency <> 'emergency' AND created_at >= %(since)s AND created_at < %(until)s
  AND coalesce(person, channel || '/' || recipient) = %(key)s

-- name: measures
-- Per red flag, or per team: alerts opened since then, how long until somebody acknowledged, how many were closed, and of
-- how many of those the urgency was not followed. Alerts that the watchdog made do not count.
SELECT named.name, count(*) AS alerts,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM alert.acknowledged_at - alert.opened_at)::float8) AS p50_s,
       percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM alert.acknowledged_at - alert.opened_at)::float8) AS p90_s,
       count(*) FILTER (WHERE alert.state IN ('completed', 'rejected')) AS closed,
       count(*) FILTER (WHERE alert.override_reason IS NOT NULL) AS overridden
FROM alert
JOIN LATERAL (
    SELECT flag AS name FROM alert_flag
    WHERE %(by)s = 'flag' AND alert_flag.tenant_id = alert.tenant_id AND alert_flag.alert_id = alert.id
    UNION ALL
    SELECT coalesce(alert.team, 'none') WHERE %(by)s = 'team') AS named ON true
WHERE alert.tenant_id = %(tenant_id)s AND alert.opened_at >= %(since)s AND NOT alert.synthetic
GROUP BY named.name ORDER BY count(*) DESC, named.name LIMIT 200

-- name: measured_alerts
SELECT name, alerts, p50_s, p90_s, closed, overridden FROM measured_alerts(%(by)s)

-- name: suppressed_share
SELECT count(*) AS messages, count(*) FILTER (WHERE state = 'suppressed') AS suppressed
FROM delivery WHERE tenant_id = %(tenant_id)s AND urgency <> 'emergency' AND created_at >= %(since)s
