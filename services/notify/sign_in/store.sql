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

-- name: account_of_login
-- Whose login name this is, in whatever tenant.
SELECT tenant_id, id FROM account_of_login(%(login)s)

-- name: account_of_subject
-- Who this subject of an identity provider is, in whatever tenant.
SELECT tenant_id, id FROM account_of_subject(%(issuer)s, %(subject)s)

-- name: accounts_exist
-- Whether anybody could sign in.
SELECT accounts_exist() AS some

-- name: account
-- One account.
SELECT id, tenant_id, login, name, person, roles, password_hash, must_change_password, totp_secret, totp_since,
       totp_last_step, issuer, subject, created_at, disabled_at
FROM account WHERE tenant_id = %(tenant)s AND id = %(id)s

-- name: accounts
-- All accounts of a tenant, those that are disabled last.
SELECT id, tenant_id, login, name, person, roles, password_hash, must_change_password, totp_secret, totp_since,
       totp_last_step, issuer, subject, created_at, disabled_at
FROM account WHERE tenant_id = %(tenant)s ORDER BY disabled_at IS NOT NULL, name, id

-- name: add_account
-- A new account; no row when the login name or the subject is taken, in whatever tenant.
INSERT INTO account (id, tenant_id, login, name, person, roles, password_hash, must_change_password, issuer, subject)
VALUES (%(id)s, %(tenant)s, %(login)s, %(name)s, %(person)s, %(roles)s, %(password_hash)s,
        %(must_change_password)s, %(issuer)s, %(subject)s)
ON CONFLICT DO NOTHING

-- name: change_account
-- Name, person and roles.
UPDATE account SET name = %(name)s, person = %(person)s, roles = %(roles)s WHERE tenant_id = %(tenant)s AND id = %(id)s

-- name: disable_account
-- No sign-in from now on, or again.
UPDATE account SET disabled_at = CASE WHEN %(disabled)s THEN now() END WHERE tenant_id = %(tenant)s AND id = %(id)s

-- name: set_password
-- Another password; one that somebody else has seen must be changed.
UPDATE account SET password_hash = %(password_hash)s, must_change_password = %(must_change)s
WHERE tenant_id = %(tenant)s AND id = %(id)s AND login IS NOT NULL

-- name: set_second_factor
-- The secret of the second factor, confirmed by a code of this step; all null or 0: there is none any more.
UPDATE account SET totp_secret = %(secret)s, totp_since = CASE WHEN %(secret)s::text IS NOT NULL THEN now() END,
                   totp_last_step = %(step)s
WHERE tenant_id = %(tenant)s AND id = %(id)s

-- name: use_step
-- A code of this step was used; no row when it, or a later one, was used before.
UPDATE account SET totp_last_step = %(step)s WHERE tenant_id = %(tenant)s AND id = %(id)s AND totp_last_step < %(step)s

-- name: forget_recovery_codes
-- None of the old codes works any more.
DELETE FROM account_recovery_code WHERE tenant_id = %(tenant)s AND account_id = %(id)s

-- name: keep_recovery_code
-- A code that works once.
INSERT INTO account_recovery_code (tenant_id, account_id, code_hash) VALUES (%(tenant)s, %(id)s, %(code_hash)s)

-- name: use_recovery_code
-- It works no more; no row when it did not before.
DELETE FROM account_recovery_code
WHERE tenant_id = %(tenant)s AND account_id = %(id)s AND code_hash = %(code_hash)s

-- name: recovery_codes_left
-- How many codes of an account still work.
SELECT count(*) AS number FROM account_recovery_code WHERE tenant_id = %(tenant)s AND account_id = %(id)s

-- name: knows_device
-- Whether this person signed in with this browser lately.
SELECT FROM account_device
WHERE tenant_id = %(tenant)s AND account_id = %(id)s AND device_hash = %(device_hash)s
  AND seen_at > now() - make_interval(days => %(days)s)

-- name: note_device
-- This person signed in with this browser.
INSERT INTO account_device (tenant_id, account_id, device_hash) VALUES (%(tenant)s, %(id)s, %(device_hash)s)
ON CONFLICT (tenant_id, account_id, device_hash) DO UPDATE SET seen_at = now()

-- name: forget_devices
-- No browser is known for this person any more.
DELETE FROM account_device WHERE tenant_id = %(tenant)s AND account_id = %(id)s

-- name: sessions
-- Where somebody is signed in now, by the clock of the database.
SELECT id, way, address, begun_at, used_at FROM session
WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND complete
  AND used_at > clock_timestamp() - make_interval(secs => %(idle_s)s)
  AND begun_at > clock_timestamp() - make_interval(secs => %(absolute_s)s)
ORDER BY used_at DESC

-- name: session
-- What is left to do of a sign-in.
SELECT second_factor, offered_totp FROM session WHERE tenant_id = %(tenant)s AND id = %(id)s

-- name: prove_second_factor
-- The second factor was shown too.
UPDATE session SET second_factor = true WHERE tenant_id = %(tenant)s AND id = %(id)s

-- name: offer_second_factor
-- The secret that this session is shown, until a code confirms it.
UPDATE session SET offered_totp = %(secret)s WHERE tenant_id = %(tenant)s AND id = %(id)s

-- name: begin_counting
-- A row for each subject, so that there is something to lock.
INSERT INTO sign_in_failure (subject, failures, failed_at)
SELECT one, 0, clock_timestamp() FROM unnest(%(subjects)s::text[]) AS one ON CONFLICT DO NOTHING

-- name: lock_failures
-- What is counted by these subjects, in one order, so that two attempts wait for each other.
SELECT subject, failures, failed_at FROM sign_in_failure WHERE subject = ANY(%(subjects)s) ORDER BY subject FOR UPDATE

-- name: count_failure
-- One more; from the first on where nobody failed for a while.
INSERT INTO sign_in_failure AS f (subject, failures, failed_at) VALUES (%(subject)s, 1, clock_timestamp())
ON CONFLICT (subject) DO UPDATE SET
    failures = CASE WHEN f.failed_at < clock_timestamp() - make_interval(secs => %(forgotten_s)s) THEN 1
               ELSE f.failures + 1 END,
    failed_at = clock_timestamp()

-- name: forget_failures
-- Somebody showed who they are.
DELETE FROM sign_in_failure WHERE subject = ANY(%(subjects)s)

-- name: forgive_failure
-- One attempt less: it was none.
UPDATE sign_in_failure SET failures = greatest(failures - 1, 0) WHERE subject = ANY(%(subjects)s)

-- name: forget_old_failures
-- What does not count any more.
DELETE FROM sign_in_failure WHERE failed_at < clock_timestamp() - make_interval(secs => %(forgotten_s)s)

-- name: begin_round
-- A browser is sent to the identity provider.
INSERT INTO sign_in_round (browser_hash, state, nonce, verifier, next)
VALUES (%(browser_hash)s, %(state)s, %(nonce)s, %(verifier)s, %(next)s)

-- name: take_round
-- It came back: taken once, and within ten minutes.
DELETE FROM sign_in_round WHERE browser_hash = %(browser_hash)s
RETURNING state, nonce, verifier, next, begun_at > now() - interval '10 minutes' AS in_time

-- name: forget_rounds
-- Those that never came back.
DELETE FROM sign_in_round WHERE begun_at < now() - interval '1 hour'

-- name: audit
-- What was recorded, newest first, from before this place on.
SELECT e.number, e.recorded, e.interaction, e.word, e.outcome, e.agent, e.address, e.type, e.ref_id, e.patient, e.query,
       a.name AS person
FROM audit_event AS e
LEFT JOIN account AS a ON a.tenant_id = e.tenant_id AND e.agent = 'account/' || a.id
WHERE e.tenant_id = %(tenant)s
  AND (%(before)s::bigint IS NULL OR e.recorded <= %(recorded)s AND (e.recorded, e.number) < (%(recorded)s, %(before)s))
ORDER BY e.recorded DESC, e.number DESC LIMIT %(most)s
