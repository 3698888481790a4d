-- Named queries of services/notify/sign_in/store.py.

-- name: session_of
-- Whose cookie this is, in whatever tenant, if the session is not over.
SELECT tenant_id, id, account_id, name, person, roles, complete, stale
FROM session_of(%(id_hash)s, %(idle_s)s, %(absolute_s)s, %(noted_s)s)

-- name: note_use
-- The idle time begins anew.
UPDATE session SET used_at = clock_timestamp() WHERE tenant_id = %(tenant)s AND id = %(id)s

-- name: begin_session
-- A new session, with the hash of its cookie.
INSERT INTO session (tenant_id, id, id_hash, account_id, complete, second_factor, way, address)
VALUES (%(tenant)s, %(id)s, %(id_hash)s, %(account)s, %(complete)s, %(second_factor)s, %(way)s, %(address)s)

-- name: end_session
-- One session is over.
DELETE FROM session WHERE tenant_id = %(tenant)s AND id = %(id)s

-- name: end_sessions
-- All sessions of an account are over, but one where it is given.
DELETE FROM session
WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND id IS DISTINCT FROM %(but)s::uuid

-- name: forget_sessions
-- Those that are over by the clock of the database, of all tenants.
SELECT forget_sessions(%(idle_s)s, %(absolute_s)s)
