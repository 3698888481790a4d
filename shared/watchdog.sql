-- Named queries of shared/watchdog.py, run in the schema of whichever service uses them, within the watchdog's tenant.

-- name: forget_resources
WITH old AS (
    SELECT type, id FROM resource
    WHERE tenant_id = %(tenant)s AND is_current AND last_updated < now() - %(kept)s LIMIT 2000
), gone AS (
    DELETE FROM resource AS r USING old WHERE r.tenant_id = %(tenant)s AND r.type = old.type AND r.id = old.id
), gone_values AS (
    DELETE FROM search_value AS v USING old WHERE v.tenant_id = %(tenant)s AND v.type = old.type AND v.id = old.id
)
DELETE FROM search_range AS s USING old WHERE s.tenant_id = %(tenant)s AND s.type = old.type AND s.id = old.id

-- name: forget_jobs
DELETE FROM job WHERE tenant_id = %(tenant)s AND created_at < now() - %(kept)s

-- name: forget_messages
DELETE FROM outbox WHERE tenant_id = %(tenant)s AND created_at < now() - %(kept)s
