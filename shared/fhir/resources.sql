-- Named queries of shared/fhir/resources.py, run in the schema of whichever service uses them.

-- name: insert
INSERT INTO resource (tenant_id, type, id, version_id, last_updated, status, subject, tag, body, sha256)
VALUES (%(tenant_id)s, %(type)s, %(id)s, %(version_id)s, %(last_updated)s, %(status)s, %(subject)s, %(tag)s,
        %(body)s, %(sha256)s)

-- name: retire
UPDATE resource SET is_current = false WHERE tenant_id = %(tenant_id)s AND type = %(type)s AND id = %(id)s AND is_current

-- name: forget_identifiers
DELETE FROM resource_identifier WHERE tenant_id = %(tenant_id)s AND type = %(type)s AND id = %(id)s

-- name: add_identifiers
INSERT INTO resource_identifier (tenant_id, type, system, value, id)
SELECT %(tenant_id)s, %(type)s, system, value, %(id)s
FROM unnest(%(systems)s::text[], %(values)s::text[]) AS given (system, value)
ON CONFLICT DO NOTHING

-- name: read
SELECT type, id, version_id, last_updated, body, sha256, tag FROM resource
WHERE tenant_id = %(tenant_id)s AND type = %(type)s AND id = %(id)s AND is_current

-- name: vread
SELECT type, id, version_id, last_updated, body, sha256, tag FROM resource
WHERE tenant_id = %(tenant_id)s AND type = %(type)s AND id = %(id)s AND version_id = %(version_id)s
