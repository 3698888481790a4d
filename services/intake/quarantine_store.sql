-- Named queries of services/intake/quarantine_store.py.

-- name: keep
SELECT quarantine_response(%(tenant)s, %(id)s, %(client)s, %(status)s, %(problems)s, %(body)s, %(sha256)s, %(limit)s,
                           %(queue)s) AS outcome

-- name: waiting
-- What triage has not looked at yet, oldest first, without the texts.
SELECT id, received_at FROM quarantine WHERE tenant_id = %(tenant)s AND state = 'waiting'
ORDER BY received_at, id LIMIT %(limit)s

-- name: submission
SELECT id, received_at, refused_at, times, client, status, problems, state, examined_at, body FROM quarantine
WHERE tenant_id = %(tenant)s AND id = %(id)s

-- name: examined
-- Triage's verdict. What is not urgent is erased in the same statement; a verdict is given once.
UPDATE quarantine SET state = %(state)s, examined_at = date_trunc('milliseconds', clock_timestamp()),
                      body = CASE WHEN %(state)s = 'urgent' THEN body END
WHERE tenant_id = %(tenant)s AND id = %(id)s AND state = 'waiting'

-- name: unacknowledged
-- Urgent ones that nobody is known to have acknowledged.
SELECT id FROM quarantine
WHERE tenant_id = %(tenant)s AND state = 'urgent' AND body IS NOT NULL AND erase_at IS NULL
ORDER BY received_at LIMIT 500

-- name: keep_until
UPDATE quarantine SET erase_at = now() + make_interval(secs => %(seconds)s)
WHERE tenant_id = %(tenant)s AND id = %(id)s AND erase_at IS NULL

-- name: erase
UPDATE quarantine SET body = NULL
WHERE tenant_id = %(tenant)s AND state = 'urgent' AND body IS NOT NULL AND erase_at <= now()

-- name: measure
SELECT state, number, oldest_s FROM quarantine_of_a_day()

-- name: turned_away
SELECT turned_away() AS number

-- name: count_turned_away
-- What quarantine_response counts itself, where that was undone.
INSERT INTO quarantine_turned_away AS turned (tenant_id, number, last_at) VALUES (%(tenant)s, 1, now())
ON CONFLICT (tenant_id) DO UPDATE SET number = turned.number + 1, last_at = excluded.last_at

-- name: tenants_with
SELECT tenants_with_refused() AS tenant

-- name: tenants_keeping
SELECT tenants_keeping_refused() AS tenant
