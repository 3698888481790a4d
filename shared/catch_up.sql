-- Named queries of shared/catch_up.py, run in the schema of whichever service uses them.

-- name: cursor
SELECT last_updated FROM catch_up_cursor WHERE source = %(source)s

-- name: move_cursor
INSERT INTO catch_up_cursor AS held (source, last_updated)
VALUES (%(source)s, least(%(last_updated)s, date_trunc('milliseconds', clock_timestamp())))
ON CONFLICT (source) DO UPDATE SET last_updated = greatest(held.last_updated, excluded.last_updated)
