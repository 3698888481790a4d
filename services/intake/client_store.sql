-- Named queries about registered clients. A client is found before its tenant is known, so only those that list name one.

-- name: add
INSERT INTO client (id, tenant, name, jwks, jwks_url, scopes)
VALUES (%(id)s, %(tenant)s, %(name)s, %(jwks)s, %(jwks_url)s, %(scopes)s)

-- name: find
SELECT id, tenant, name, jwks, jwks_url, scopes, created_at, disabled_at FROM client WHERE id = %(id)s

-- name: all
SELECT id, tenant, name, jwks, jwks_url, scopes, created_at, disabled_at FROM client ORDER BY created_at, id

-- name: active
-- A tenant's clients that get tokens.
SELECT id, tenant, name, jwks, jwks_url, scopes, created_at, disabled_at FROM client
WHERE tenant = %(tenant)s AND disabled_at IS NULL ORDER BY created_at, id

-- name: disable
UPDATE client SET disabled_at = coalesce(disabled_at, now()) WHERE id = %(id)s

-- name: replace_keys
UPDATE client SET jwks = %(jwks)s, jwks_url = %(jwks_url)s WHERE id = %(id)s

-- name: use_assertion
INSERT INTO client_assertion (client_id, jti, expires_at)
VALUES (%(client)s, %(jti)s, to_timestamp(%(expires)s))
ON CONFLICT DO NOTHING

-- name: forget_assertions
DELETE FROM client_assertion WHERE expires_at < now() - interval '5 minutes'
