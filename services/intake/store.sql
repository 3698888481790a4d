-- Named queries of intake.

-- name: store_response
-- What was stored is recorded in the same statement, but for what the watchdog sends.
SELECT s.outcome, s.of_id, s.of_version, s.of_time, s.twin,
       CASE WHEN s.outcome IN ('created', 'updated') AND %(recorded)s THEN record_audit(
           %(tenant)s, %(audit_interaction)s, %(audit_word)s, %(audit_outcome)s, %(audit_agent)s, %(audit_address)s,
           %(audit_type)s, s.of_id, s.of_version, %(audit_patient)s, %(audit_query)s, %(audit_request)s) END AS audited
FROM store_response(
    %(tenant)s, %(id)s, %(expected)s, %(body)s, %(sha256)s, %(system)s, %(value)s,
    %(rows)s, %(content)s, %(client)s, %(key)s, %(queue)s) AS s

-- name: create_response
-- A new response, recorded in the same statement, but for what the watchdog sends. Values by place: loop_connection.py.
SELECT of_time, twin FROM create_response($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)

-- name: identified
SELECT id FROM response_key WHERE tenant_id = %(tenant)s AND system = %(system)s AND value = %(value)s

-- name: tenants_with_old_keys
SELECT tenant FROM tenants_with_old_keys() AS tenant

-- name: forget_keys
DELETE FROM idempotency_key
WHERE tenant_id = %(tenant)s AND used_at < clock_timestamp() - interval '24 hours'

-- name: forget_content
DELETE FROM recent_content
WHERE tenant_id = %(tenant)s AND seen_at < clock_timestamp() - interval '10 minutes'

-- name: forget_rounds
DELETE FROM quarantine WHERE tenant_id = %(tenant)s AND received_at < now() - %(kept)s

-- name: versions
SELECT version_id, sha256 FROM resource
WHERE tenant_id = %(tenant)s AND type = 'QuestionnaireResponse' AND id = %(id)s ORDER BY version_id DESC

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0))

-- name: lock_questionnaires
SELECT pg_advisory_xact_lock(hashtextextended('questionnaire ' || %(tenant)s::text, 0))

-- name: forget_entry
DELETE FROM questionnaire WHERE tenant_id = %(tenant)s AND id = %(id)s

-- name: publish
INSERT INTO questionnaire (tenant_id, url, version, id, status, version_id, value_sets)
VALUES (%(tenant)s, %(url)s, %(version)s, %(id)s, %(status)s, %(version_id)s, %(value_sets)s)

-- name: published
SELECT tenant_id, url, version, id, status, version_id FROM questionnaire
WHERE tenant_id = ANY (%(tenants)s) ORDER BY url, published_at, version

-- name: value_sets
SELECT value_sets FROM questionnaire WHERE tenant_id = %(tenant)s AND id = %(id)s

-- name: questionnaire_body
SELECT body FROM resource
WHERE tenant_id = %(tenant)s AND type = 'Questionnaire' AND id = %(id)s AND version_id = %(version_id)s
