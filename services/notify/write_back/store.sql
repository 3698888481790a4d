-- Named queries of services/notify/write_back/store.py.

-- name: name_target
INSERT INTO write_back_target (tenant_id) VALUES (%(tenant)s) ON CONFLICT DO NOTHING

-- name: forget_others
SELECT write_back_for_nobody_but(%(tenant)s)

-- name: due
SELECT tenant_id, type, id FROM due_write_backs(%(most)s)

-- name: claim
-- One resource to be written, for this sender alone.
UPDATE write_back SET lease_token = gen_random_uuid(), lease_until = now() + %(lease_s)s * interval '1 second'
WHERE tenant_id = %(tenant)s AND type = %(type)s AND id = %(id)s AND due_at <= now()
  AND (lease_until IS NULL OR lease_until < now())
RETURNING wanted, attempts, failing_since, lease_token

-- name: is_synthetic
-- Whether nobody is ill: the alert of this Task or Communication was made by the watchdog.
SELECT alert.synthetic FROM alert
WHERE alert.tenant_id = %(tenant)s AND (alert.id::text = %(id)s OR alert.id = (
    SELECT delivery.alert_id FROM delivery WHERE delivery.tenant_id = %(tenant)s AND delivery.id::text = %(id)s))

-- name: written
-- This version is there; what was made meanwhile is due at once.
UPDATE write_back SET written = greatest(written, %(version)s), attempts = 0, failing_since = NULL, answer = NULL,
                      due_at = CASE WHEN wanted > %(version)s THEN now() END, lease_token = NULL, lease_until = NULL
WHERE tenant_id = %(tenant)s AND type = %(type)s AND id = %(id)s AND lease_token = %(lease_token)s

-- name: failed
UPDATE write_back SET attempts = attempts + 1, failing_since = coalesce(failing_since, now()), answer = %(answer)s,
                      due_at = now() + %(pause_s)s * interval '1 second', lease_token = NULL, lease_until = NULL
WHERE tenant_id = %(tenant)s AND type = %(type)s AND id = %(id)s AND lease_token = %(lease_token)s

-- name: given_up
-- The next version begins anew, with all of its time.
UPDATE write_back SET attempts = 0, failing_since = NULL, answer = %(answer)s, due_at = NULL, lease_token = NULL,
                      lease_until = NULL
WHERE tenant_id = %(tenant)s AND type = %(type)s AND id = %(id)s AND lease_token = %(lease_token)s

-- name: behind
SELECT number, given_up, failing_s FROM write_backs_behind()
