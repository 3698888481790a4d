-- Named queries of intake.

-- name: accept
SELECT created, response_id,
       CASE WHEN created THEN index_resource(%(tenant)s, 'QuestionnaireResponse', response_id, %(rows)s, false) END
FROM accept_response(
    %(tenant)s, %(id)s, %(status)s, %(subject)s, %(body)s, %(sha256)s, %(system)s, %(value)s, %(queue)s)

-- name: publish
INSERT INTO questionnaire (tenant_id, url, version, id, status)
VALUES (%(tenant)s, %(url)s, %(version)s, %(id)s, %(status)s)
ON CONFLICT DO NOTHING

-- name: published
SELECT url, version, id, status FROM questionnaire WHERE tenant_id = %(tenant)s ORDER BY url, published_at, version
