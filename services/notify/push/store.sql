-- Named queries of services/notify/push/store.py.

-- name: register
-- A browser is told for whoever registered it last.
INSERT INTO push_subscription (id, tenant_id, person, name, endpoint, public_key, secret)
VALUES (%(id)s, %(tenant_id)s, %(person)s, %(name)s, %(endpoint)s, %(public_key)s, %(secret)s)
ON CONFLICT (tenant_id, endpoint) DO UPDATE
SET person = excluded.person, name = excluded.name, public_key = excluded.public_key, secret = excluded.secret,
    created_at = now()

-- name: devices
-- The devices of a person, the newest first.
SELECT id, person, name, endpoint, public_key, secret, created_at FROM push_subscription
WHERE tenant_id = %(tenant_id)s AND person = %(person)s ORDER BY created_at DESC, id

-- name: people
-- Who registered a device.
SELECT DISTINCT person FROM push_subscription WHERE tenant_id = %(tenant_id)s

-- name: keep_newest
-- More devices of a person than anybody is told on: the oldest are forgotten.
DELETE FROM push_subscription WHERE tenant_id = %(tenant_id)s AND id IN (
    SELECT id FROM push_subscription WHERE tenant_id = %(tenant_id)s AND person = %(person)s
    ORDER BY created_at DESC, id OFFSET %(most)s)

-- name: forget
DELETE FROM push_subscription WHERE tenant_id = %(tenant_id)s AND person = %(person)s AND id = %(id)s
