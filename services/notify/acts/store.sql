-- Named queries of services/notify/acts/store.py.

-- name: make_link
-- A new link; those of this alert that are over are forgotten: nobody who opens one is shown anything.
WITH forgotten AS (
    DELETE FROM ack_link WHERE alert_id = %(alert_id)s AND expires_at < now()
)
INSERT INTO ack_link (token_sha256, tenant_id, alert_id, delivery_id, person, expires_at)
VALUES (%(token)s, %(tenant_id)s, %(alert_id)s, %(delivery_id)s, %(person)s, now() + %(lasts)s)

-- name: whose_link
SELECT tenant_id, alert_id FROM whose_link(%(token)s)

-- name: link
-- A link that holds, with its alert's state locked by whoever acknowledges.
SELECT token_sha256, tenant_id, alert_id, delivery_id, person, used_at, used_by
FROM ack_link WHERE tenant_id = %(tenant_id)s AND token_sha256 = %(token)s AND expires_at > now()

-- name: use_link
UPDATE ack_link SET used_at = %(now)s, used_by = %(by)s
WHERE tenant_id = %(tenant_id)s AND token_sha256 = %(token)s AND used_at IS NULL

-- name: tenant_of_answered
SELECT tenant_of_answered(%(alert_id)s, %(receiver)s) AS tenant

-- name: answered_delivery
-- The step of a message that a receiver answers.
SELECT step FROM delivery
WHERE tenant_id = %(tenant_id)s AND id = %(id)s AND alert_id = %(alert_id)s AND channel = 'webhook'
  AND recipient = %(receiver)s

-- name: take_answer
INSERT INTO webhook_answer (tenant_id, receiver, webhook_id, body_sha256)
VALUES (%(tenant_id)s, %(receiver)s, %(webhook_id)s, %(body)s) ON CONFLICT DO NOTHING

-- name: answer_body
SELECT body_sha256 FROM webhook_answer
WHERE tenant_id = %(tenant_id)s AND receiver = %(receiver)s AND webhook_id = %(webhook_id)s

-- name: forget_answers
-- Answers so old that their signature is refused anyway.
DELETE FROM webhook_answer WHERE tenant_id = %(tenant_id)s AND taken_at < now() - interval '1 hour'
