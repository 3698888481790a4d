-- Named queries of services/notify/watchdog/store.py.

-- name: begin
-- A new round where the last one began long enough ago by the clock of this database. A round that stands in the future
-- (the clock was set back) holds up nothing.
INSERT INTO watchdog_round (id)
SELECT %(id)s FROM (SELECT pg_advisory_xact_lock(hashtextextended('watchdog', 0))) AS alone
WHERE NOT EXISTS (SELECT FROM watchdog_round WHERE began_at > clock_timestamp() - %(every)s
                                               AND began_at <= clock_timestamp() + %(every)s)
RETURNING began_at

-- name: drop
DELETE FROM watchdog_round WHERE id = %(id)s

-- name: note_full
UPDATE watchdog_round SET full_at = clock_timestamp() WHERE id = %(id)s AND full_at IS NULL

-- name: take_told
-- The newest full round, once: whoever gets it tells the outside.
UPDATE watchdog_round SET told_at = now()
WHERE told_at IS NULL AND id = (SELECT id FROM watchdog_round WHERE full_at IS NOT NULL ORDER BY began_at DESC LIMIT 1)
RETURNING id

-- name: not_told
UPDATE watchdog_round SET told_at = NULL WHERE id = %(id)s

-- name: measure
-- Seconds since the newest full round began (NULL: there was none), and how long it took.
SELECT extract(epoch FROM now() - began_at)::float8 AS age_s, extract(epoch FROM full_at - began_at)::float8 AS took_s
FROM watchdog_round WHERE full_at IS NOT NULL ORDER BY began_at DESC LIMIT 1

-- name: forget
-- What rounds left in notify, and the rounds themselves but for the newest full one.
SELECT forget_watchdog(%(kept)s)
