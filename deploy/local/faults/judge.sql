-- What the ledger outside says, compared with what the database holds. Each query returns what is wrong.

-- name: assessed
-- I2: not exactly one current RiskAssessment of the newest version that was accepted.
WITH newest AS (
    SELECT id, max(version) AS version FROM unnest(%(ids)s::text[], %(versions)s::integer[]) AS given (id, version)
    GROUP BY id)
SELECT newest.id, CASE
    WHEN count(r.id) = 0 THEN 'accepted and not assessed'
    WHEN count(r.id) > 1 THEN 'second current RiskAssessment'
    ELSE 'assessed by an older version' END AS what
FROM newest
LEFT JOIN triage.assessment AS a ON a.tenant_id = %(tenant)s AND a.response_id = newest.id
LEFT JOIN triage.resource AS r ON r.tenant_id = %(tenant)s AND r.type = 'RiskAssessment' AND r.id = a.id AND r.is_current
GROUP BY newest.id, newest.version
HAVING count(r.id) <> 1 OR max(a.response_version) < newest.version

-- name: assessments
-- The current assessment of each response, with what it says as it is stored.
SELECT a.response_id, a.urgency, r.body FROM triage.assessment AS a
JOIN triage.resource AS r ON r.tenant_id = a.tenant_id AND r.type = 'RiskAssessment' AND r.id = a.id AND r.is_current
WHERE a.tenant_id = %(tenant)s AND a.response_id = ANY (%(ids)s)

-- name: untold
-- I4, I5: urgent by its own answers, and no alert, or one that nobody was told of, or that waits for nothing. Whoever
-- acknowledged was told, also where the sender died before it could note that.
SELECT given.id || ' version ' || given.version AS id, CASE
    WHEN count(alert.id) = 0 THEN 'urgent and without an alert'
    WHEN NOT bool_or(told.alert_id IS NOT NULL OR alert.acknowledged_at IS NOT NULL) THEN 'urgent and told to nobody'
    ELSE 'urgent alert neither acknowledged nor escalated' END AS what
FROM unnest(%(ids)s::text[], %(versions)s::integer[]) AS given (id, version)
LEFT JOIN triage.assessment AS a ON a.tenant_id = %(tenant)s AND a.response_id = given.id
LEFT JOIN notify.alert_assessment AS raised ON raised.tenant_id = %(tenant)s AND raised.assessment_id = a.id
LEFT JOIN notify.alert AS alert ON alert.id = raised.alert_id
LEFT JOIN LATERAL (SELECT delivery.alert_id FROM notify.delivery
                   WHERE delivery.alert_id = alert.id AND delivery.state = 'sent' LIMIT 1) AS told ON true
GROUP BY given.id, given.version
HAVING count(alert.id) = 0
    OR NOT bool_or(told.alert_id IS NOT NULL OR alert.acknowledged_at IS NOT NULL OR alert.state = 'cancelled')
    OR bool_or(alert.state IN ('requested', 'received') AND alert.due_at IS NULL)

-- name: paged_after
-- I7: a step that began after the acknowledgement was committed.
SELECT e.alert_id::text AS id, 'page after acknowledgement' AS what
FROM notify.alert_event AS e
JOIN notify.alert AS alert ON alert.id = e.alert_id
WHERE e.kind = 'repeated' AND NOT alert.synthetic AND EXISTS (
    SELECT FROM notify.alert_event AS known
    WHERE known.alert_id = e.alert_id AND known.kind = 'acknowledged' AND known.id < e.id
      AND NOT EXISTS (SELECT FROM notify.alert_event AS anew
                      WHERE anew.alert_id = e.alert_id AND anew.id > known.id AND anew.id < e.id
                        AND anew.kind IN ('handed_over', 'woken', 'restarted', 'raised')))

-- name: unacknowledged
-- A confirmed acknowledgement that the database does not know.
SELECT given.id, 'acknowledgement lost' AS what FROM unnest(%(alerts)s::text[]) AS given (id)
LEFT JOIN notify.alert AS alert ON alert.id = given.id::uuid
WHERE alert.id IS NULL OR alert.state IN ('requested', 'received')

-- name: alerts_of
-- Which alert stands for each response.
SELECT a.response_id, raised.alert_id::text AS alert_id FROM triage.assessment AS a
JOIN notify.alert_assessment AS raised ON raised.tenant_id = a.tenant_id AND raised.assessment_id = a.id
WHERE a.tenant_id = %(tenant)s AND a.response_id = ANY (%(ids)s)
