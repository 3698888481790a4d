-- Named queries of services/notify/subscriptions/store.py.

-- name: insert
INSERT INTO subscription (tenant_id, id, client, state, version, topic, filters, endpoint, headers, content, heartbeat_s,
                          timeout_s, max_count, created_at, ends_at, due_at)
VALUES (%(tenant_id)s, %(id)s, %(client)s, %(state)s, %(version)s, %(topic)s, %(filters)s, %(endpoint)s, %(headers)s,
        %(content)s, %(heartbeat_s)s, %(timeout_s)s, %(max_count)s, %(created_at)s, %(ends_at)s, now())

-- name: one
SELECT tenant_id, id, client, state, version, topic, filters, endpoint, headers, content, heartbeat_s, timeout_s, max_count,
       created_at, ends_at, events, sent, attempts, failing_since, answer, last_contact_at, errored_at, due_at, lease_token
FROM subscription WHERE tenant_id = %(tenant_id)s AND id = %(id)s

-- name: lock_one
SELECT tenant_id, id, client, state, version, topic, filters, endpoint, headers, content, heartbeat_s, timeout_s, max_count,
       created_at, ends_at, events, sent, attempts, failing_since, answer, last_contact_at, errored_at, due_at, lease_token
FROM subscription WHERE tenant_id = %(tenant_id)s AND id = %(id)s FOR UPDATE

-- name: of_client
-- For $status: all that a caller sees, the oldest first. client NULL: of every client.
SELECT tenant_id, id, client, state, version, topic, filters, endpoint, headers, content, heartbeat_s, timeout_s, max_count,
       created_at, ends_at, events, sent, attempts, failing_since, answer, last_contact_at, errored_at, due_at, lease_token
FROM subscription
WHERE tenant_id = %(tenant_id)s AND state <> 'deleted' AND (%(client)s::text IS NULL OR client = %(client)s)
  AND (%(ids)s::text[] IS NULL OR id::text = ANY (%(ids)s)) AND (%(states)s::text[] IS NULL OR state = ANY (%(states)s))
ORDER BY created_at, id LIMIT 1000

-- name: living
-- How many subscriptions of a client may still hear something.
SELECT count(*) AS number FROM subscription
WHERE tenant_id = %(tenant_id)s AND client = %(client)s AND state NOT IN ('off', 'deleted')

-- name: lock_client
SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0))

-- name: change
-- A new version of the Subscription. Whoever is sending at this moment loses the lease: it is sent again as it is now.
UPDATE subscription SET state = %(state)s, version = %(version)s, filters = %(filters)s, endpoint = %(endpoint)s,
                        headers = %(headers)s, content = %(content)s, heartbeat_s = %(heartbeat_s)s,
                        timeout_s = %(timeout_s)s, max_count = %(max_count)s, ends_at = %(ends_at)s, attempts = 0,
                        failing_since = NULL, answer = NULL, errored_at = NULL, lease_token = NULL, lease_until = NULL,
                        due_at = CASE WHEN %(state)s IN ('requested', 'active') THEN now() END
WHERE tenant_id = %(tenant_id)s AND id = %(id)s

-- name: settle
-- What became of it: in another state, with nothing tried yet.
UPDATE subscription SET state = %(state)s, version = %(version)s, answer = %(answer)s, attempts = 0, failing_since = NULL,
                        errored_at = CASE WHEN %(state)s = 'error' THEN now() END,
                        last_contact_at = CASE WHEN %(state)s = 'active' THEN now() ELSE last_contact_at END,
                        headers = CASE WHEN %(state)s = 'deleted' THEN '{}' ELSE headers END,
                        lease_token = NULL, lease_until = NULL
WHERE tenant_id = %(tenant_id)s AND id = %(id)s

-- name: taken
-- The receiver took everything up to this event. Nothing happens when the lease was lost.
UPDATE subscription SET sent = greatest(sent, %(sent)s), attempts = 0, failing_since = NULL, answer = NULL,
                        last_contact_at = now(), lease_token = NULL, lease_until = NULL
WHERE tenant_id = %(tenant_id)s AND id = %(id)s AND lease_token = %(token)s

-- name: failed
-- It took nothing. Nothing happens when the lease was lost.
UPDATE subscription SET attempts = attempts + 1, failing_since = coalesce(failing_since, now()), answer = %(answer)s,
                        due_at = now() + make_interval(secs => %(pause_s)s), lease_token = NULL, lease_until = NULL
WHERE tenant_id = %(tenant_id)s AND id = %(id)s AND lease_token = %(token)s
RETURNING extract(epoch FROM now() - failing_since)::float8 AS failing_s

-- name: give_back
-- Nothing could be tried, through no fault of the receiver.
UPDATE subscription SET due_at = now() + make_interval(secs => %(pause_s)s), lease_token = NULL, lease_until = NULL
WHERE tenant_id = %(tenant_id)s AND id = %(id)s AND lease_token = %(token)s

-- name: release
UPDATE subscription SET lease_token = NULL, lease_until = NULL
WHERE tenant_id = %(tenant_id)s AND id = %(id)s AND lease_token = %(token)s

-- name: plan
-- When something is to be done next: what waits now, else the next heartbeat, the end, or the day on which a subscription
-- in error is given up. After a failure its pause stays.
UPDATE subscription SET due_at = CASE
        WHEN state = 'requested' THEN coalesce(due_at, now())
        WHEN state = 'active' AND attempts > 0 THEN due_at
        WHEN state = 'active' AND events > sent THEN now()
        WHEN state = 'active' THEN least(last_contact_at + make_interval(secs => heartbeat_s), ends_at)
        WHEN state = 'error' THEN least(errored_at + interval '30 days', ends_at)
    END
WHERE tenant_id = %(tenant_id)s AND id = ANY (%(ids)s)

-- name: due
SELECT tenant_id, id FROM due_subscriptions(%(failing)s, %(most)s)

-- name: claim
-- A due subscription that nobody else has, for as long as one attempt may take.
UPDATE subscription SET lease_token = gen_random_uuid(), lease_until = now() + make_interval(secs => %(lease_s)s)
WHERE tenant_id = %(tenant_id)s AND id = %(id)s AND due_at <= now() AND (lease_until IS NULL OR lease_until < now())
RETURNING tenant_id, id, client, state, version, topic, filters, endpoint, headers, content, heartbeat_s, timeout_s,
          max_count, created_at, ends_at, events, sent, attempts, failing_since, answer, last_contact_at, errored_at,
          due_at, lease_token

-- name: over
-- Whether a subscription has come to its end, or was in error for thirty days.
SELECT coalesce(ends_at <= now(), false) AS ended, coalesce(errored_at <= now() - interval '30 days', false) AS given_up
FROM subscription WHERE tenant_id = %(tenant_id)s AND id = %(id)s

-- name: note
-- Events that are not known yet, of a topic that somebody has listened to since before they happened.
INSERT INTO topic_event (tenant_id, topic, ref_id, ref_version, at)
SELECT %(tenant_id)s, %(topic)s, ref_id, ref_version, at
FROM unnest(%(ids)s::text[], %(versions)s::integer[], %(times)s::timestamptz[]) AS happened (ref_id, ref_version, at)
WHERE at > now() - interval '7 days' AND EXISTS (
    SELECT FROM subscription AS s WHERE s.tenant_id = %(tenant_id)s AND s.topic = %(topic)s
    AND s.state IN ('requested', 'active', 'error') AND s.created_at <= happened.at)
ON CONFLICT DO NOTHING

-- name: tenants_with_events
SELECT tenants_with_events() AS tenant

-- name: lock_events
-- Whether nobody else gives out events of this tenant; held until the transaction ends. So they are numbered in order.
SELECT pg_try_advisory_xact_lock(hashtextextended('topic events/' || %(tenant_id)s::text, 0)) AS mine

-- name: waiting
-- Events of a topic that were not given out, in their order. Alerts that the watchdog made are nobody's news.
SELECT e.ref_id, e.ref_version, e.at, EXISTS (
    SELECT FROM alert AS a WHERE e.topic = 'alert' AND a.tenant_id = e.tenant_id AND a.id::text = e.ref_id AND a.synthetic
) AS synthetic
FROM topic_event AS e WHERE e.tenant_id = %(tenant_id)s AND e.topic = %(topic)s AND e.done_at IS NULL
ORDER BY e.at, e.ref_version, e.ref_id LIMIT %(most)s

-- name: listening
-- Whoever listens to a topic, locked: numbers are given under this lock.
SELECT tenant_id, id, client, state, version, topic, filters, endpoint, headers, content, heartbeat_s, timeout_s, max_count,
       created_at, ends_at, events, sent, attempts, failing_since, answer, last_contact_at, errored_at, due_at, lease_token
FROM subscription WHERE tenant_id = %(tenant_id)s AND topic = %(topic)s AND state IN ('requested', 'active', 'error')
ORDER BY id FOR UPDATE

-- name: tenants_with_subscriptions
SELECT tenants_with_subscriptions() AS tenant

-- name: all_listening
-- Whoever may still hear something, of any topic: whether they still may is asked every few seconds.
SELECT tenant_id, id, client, state, version, topic, filters, endpoint, headers, content, heartbeat_s, timeout_s, max_count,
       created_at, ends_at, events, sent, attempts, failing_since, answer, last_contact_at, errored_at, due_at, lease_token
FROM subscription WHERE tenant_id = %(tenant_id)s AND state IN ('requested', 'active', 'error') ORDER BY id

-- name: filters_of
-- Whether anybody filters the events of a topic.
SELECT EXISTS (SELECT FROM subscription WHERE tenant_id = %(tenant_id)s AND topic = %(topic)s
               AND state IN ('requested', 'active', 'error') AND filters <> '[]') AS any

-- name: number
-- Number the next event of a subscription; no row when it was numbered before.
INSERT INTO subscription_event (tenant_id, subscription_id, number, ref_id, ref_version, at)
VALUES (%(tenant_id)s, %(id)s, %(number)s, %(ref_id)s, %(ref_version)s, %(at)s)
ON CONFLICT (tenant_id, subscription_id, ref_id, ref_version) DO NOTHING

-- name: count_events
UPDATE subscription SET events = %(events)s WHERE tenant_id = %(tenant_id)s AND id = %(id)s

-- name: done
UPDATE topic_event SET done_at = now()
WHERE tenant_id = %(tenant_id)s AND topic = %(topic)s AND (ref_id, ref_version) IN (
    SELECT * FROM unnest(%(ids)s::text[], %(versions)s::integer[]))

-- name: events
-- Events of a subscription by their numbers.
SELECT number, ref_id, ref_version, at FROM subscription_event
WHERE tenant_id = %(tenant_id)s AND subscription_id = %(id)s AND number BETWEEN %(since)s AND %(until)s
ORDER BY number LIMIT %(most)s

-- name: retire
-- A deleted Subscription is found and read no more; its versions stay.
UPDATE resource SET is_current = false
WHERE tenant_id = %(tenant_id)s AND type = 'Subscription' AND id = %(id)s AND is_current

-- name: unindex
SELECT index_resource(%(tenant_id)s, 'Subscription', %(id)s, '{"values": [], "ranges": []}', true)

-- name: forget
SELECT forget_events(5000)

-- name: measure
SELECT state, number, waiting::float8, failing_s FROM count_subscriptions()
