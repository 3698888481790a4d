-- Named queries of intake.

-- name: store_response
SELECT outcome, of_id, of_version, of_time, twin FROM store_response(
    %(tenant)s, %(id)s, %(expected)s, %(status)s, %(subject)s, %(body)s, %(sha256)s, %(system)s, %(value)s,
    %(rows)s, %(content)s, %(client)s, %(key)s, %(queue)s)

-- name: versions
SELECT version_id FROM resource
WHERE tenant_id = %(tenant)s AND type = 'QuestionnaireResponse' AND id = %(id)s ORDER BY version_id DESC

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0))

-- name: publish
INSERT INTO questionnaire (tenant_id, url, version, id, status)
VALUES (%(tenant)s, %(url)s, %(version)s, %(id)s, %(status)s)
ON CONFLICT DO NOTHING

-- name: published
SELECT url, version, id, status FROM questionnaire WHERE tenant_id = ANY (%(tenants)s) ORDER BY url, published_at, version
