-- Named queries of shared/fhir/resources.py, run in the schema of whichever service uses them.

-- name: save
SELECT save_resources(%(tenant_id)s, %(new)s::jsonb, %(bodies)b, %(digests)b)

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

-- name: read_current
SELECT type, id, version_id, last_updated, body, sha256, tag FROM resource
WHERE tenant_id = ANY (%(tenants)s) AND type = %(type)s AND id = ANY (%(ids)s) AND is_current
ORDER BY id

-- name: references
SELECT DISTINCT value, system FROM search_value
WHERE tenant_id = ANY (%(tenants)s) AND type = %(type)s AND id = ANY (%(ids)s) AND param = %(param)s
ORDER BY value, system

-- name: referring
SELECT DISTINCT id FROM search_value
WHERE tenant_id = ANY (%(tenants)s) AND type = %(type)s AND param = %(param)s AND value = ANY (%(values)s)
ORDER BY id LIMIT %(limit)s

-- name: history
SELECT type, id, version_id, last_updated, body, sha256, tag FROM resource
WHERE tenant_id = %(tenant_id)s AND type = %(type)s AND id = %(id)s
  AND (%(since)s::timestamptz IS NULL OR last_updated >= %(since)s)
  AND (%(before)s::integer IS NULL OR version_id < %(before)s)
ORDER BY version_id DESC LIMIT %(limit)s

-- name: type_history
-- Current and retired versions, each from its own index.
SELECT type, id, version_id, last_updated, body, sha256, tag FROM (
    (SELECT * FROM resource
     WHERE tenant_id = %(tenant_id)s AND type = %(type)s AND is_current
       AND last_updated >= coalesce(%(since)s::timestamptz, '-infinity')
       AND last_updated <= coalesce(%(time)s::timestamptz, 'infinity')
       AND (%(time)s::timestamptz IS NULL OR (last_updated, id, version_id) < (%(time)s, %(id)s, %(version_id)s))
     ORDER BY last_updated DESC, id DESC, version_id DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM resource
     WHERE tenant_id = %(tenant_id)s AND type = %(type)s AND NOT is_current
       AND last_updated >= coalesce(%(since)s::timestamptz, '-infinity')
       AND last_updated <= coalesce(%(time)s::timestamptz, 'infinity')
       AND (%(time)s::timestamptz IS NULL OR (last_updated, id, version_id) < (%(time)s, %(id)s, %(version_id)s))
     ORDER BY last_updated DESC, id DESC, version_id DESC LIMIT %(limit)s)
) AS version
ORDER BY last_updated DESC, id DESC, version_id DESC LIMIT %(limit)s
