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

-- name: index
SELECT index_resource(%(tenant_id)s, %(type)s, %(id)s, %(rows)s, %(anew)s)

-- name: edition
SELECT edition FROM search_edition WHERE type = %(type)s

-- name: note_edition
INSERT INTO search_edition (type, edition) VALUES (%(type)s, %(edition)s)
ON CONFLICT (type) DO UPDATE SET edition = excluded.edition

-- name: current_bodies
SELECT tenant_id, id, body FROM resource
WHERE type = %(type)s AND is_current AND (tenant_id, id) > (%(after_tenant)s, %(after_id)s)
ORDER BY tenant_id, id LIMIT 500 FOR SHARE

-- name: read
SELECT type, id, version_id, last_updated, body, sha256, tag FROM resource
WHERE tenant_id = ANY (%(tenants)s) AND type = %(type)s AND id = %(id)s AND is_current
ORDER BY tenant_id = %(published)s DESC LIMIT 1

-- name: vread
SELECT type, id, version_id, last_updated, body, sha256, tag FROM resource
WHERE tenant_id = ANY (%(tenants)s) AND type = %(type)s AND id = %(id)s AND version_id = %(version_id)s
ORDER BY tenant_id = %(published)s DESC LIMIT 1

-- name: tenants_changed
SELECT tenants_changed(%(type)s, %(since)s) AS tenant
