-- Named queries of shared/jobs.py, run in the schema of whichever service uses them.

-- name: add
INSERT INTO job AS known (tenant_id, kind, ref_id, ref_version, due_at)
SELECT tenant, %(kind)s, ref, version, now() + make_interval(secs => %(delay_s)s)
FROM unnest(%(tenants)s::uuid[], %(ids)s::text[], %(versions)s::integer[]) AS wanted (tenant, ref, version)
ON CONFLICT (tenant_id, kind, ref_id, ref_version) DO UPDATE
SET state = 'pending', attempts = 0, due_at = excluded.due_at, created_at = now(), error = NULL, finished_at = NULL
WHERE known.state = 'dead'

-- name: claim
-- Fresh jobs, or one that was tried before: whichever comes first, and the other where there is none of it.
WITH tried AS (
    SELECT tenant_id, kind, ref_id, ref_version FROM job
    WHERE kind = %(kind)s AND is_open
      AND ((state = 'pending' AND attempts > 0 AND due_at <= now() - make_interval(secs => %(min_age_s)s))
        OR (state = 'running' AND lease_until < now()))
    ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
),
fresh AS (
    SELECT tenant_id, kind, ref_id, ref_version FROM job
    WHERE kind = %(kind)s AND is_open AND state = 'pending' AND attempts = 0
      AND due_at <= now() - make_interval(secs => %(min_age_s)s)
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
),
due AS (
    SELECT * FROM tried WHERE NOT %(fresh_first)s OR NOT EXISTS (SELECT FROM fresh)
    UNION ALL
    SELECT * FROM fresh WHERE %(fresh_first)s OR NOT EXISTS (SELECT FROM tried)
)
UPDATE job SET state = 'running', attempts = job.attempts + 1, lease_token = gen_random_uuid(),
               lease_until = now() + make_interval(secs => %(lease_s)s)
FROM due WHERE (job.tenant_id, job.kind, job.ref_id, job.ref_version) = (due.tenant_id, due.kind, due.ref_id, due.ref_version)
RETURNING job.tenant_id, job.ref_id, job.ref_version, job.lease_token, job.attempts, job.error,
          extract(epoch FROM now() - job.created_at)::float8 AS age_s

-- name: heartbeat
-- A job that is being finished just now is left alone: nobody waits for the other.
UPDATE job SET lease_until = now() + make_interval(secs => %(lease_s)s)
WHERE (tenant_id, kind, ref_id, ref_version) IN (
    SELECT held.tenant_id, held.kind, held.ref_id, held.ref_version
    FROM unnest(%(tenants)s::uuid[], %(kinds)s::text[], %(ids)s::text[], %(versions)s::integer[], %(tokens)s::uuid[])
        AS ours (tenant, kind, id, version, token)
    JOIN job AS held ON held.tenant_id = ours.tenant AND held.kind = ours.kind AND held.ref_id = ours.id
        AND held.ref_version = ours.version AND held.lease_token = ours.token
    WHERE held.state = 'running'
    FOR UPDATE OF held SKIP LOCKED)

-- name: finish
UPDATE job SET state = %(state)s, finished_at = now(), lease_token = NULL, lease_until = NULL
WHERE tenant_id = %(tenant_id)s AND kind = %(kind)s AND ref_id = %(ref_id)s AND ref_version = %(ref_version)s
  AND state = 'running' AND lease_token = %(token)s

-- name: retry
UPDATE job SET state = 'pending', error = %(error)s, lease_token = NULL, lease_until = NULL,
               attempts = attempts - (1 - %(counts)s), due_at = now() + make_interval(secs => %(delay_s)s)
WHERE tenant_id = %(tenant_id)s AND kind = %(kind)s AND ref_id = %(ref_id)s AND ref_version = %(ref_version)s
  AND state = 'running' AND lease_token = %(token)s

-- name: in_hand
-- The claims of such jobs that somebody works on just now.
SELECT lease_token AS token FROM job
WHERE kind = %(kind)s AND is_open AND state = 'running' AND lease_until > now()

-- name: due_kinds
-- The kinds below each of these names that have due work, the longest due first.
SELECT wanted.name, due.kind FROM unnest(%(names)s::text[]) AS wanted (name), LATERAL (
    SELECT kind, min(due_at) AS since FROM job
    WHERE split_part(kind, '/', 1) = wanted.name AND is_open
      AND ((state = 'pending' AND due_at <= now() - make_interval(secs => %(min_age_s)s))
        OR (state = 'running' AND lease_until < now()))
    GROUP BY kind ORDER BY since LIMIT %(most)s) AS due
ORDER BY wanted.name, due.since

-- name: measure
-- Work that is not done. What is done, by far the most, is not looked at: each part has an index of its own.
SELECT split_part(kind, '/', 1) AS kind, state, count(*) AS number,
       coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8 AS oldest_s
FROM job WHERE is_open GROUP BY 1, state
UNION ALL
SELECT split_part(kind, '/', 1), state, count(*), coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8
FROM job WHERE set_aside GROUP BY 1, state

-- name: hasten
SELECT hasten_jobs(%(names)s, %(longest_s)s, %(slack_s)s) AS number

-- name: shorten_leases
SELECT shorten_leases(%(lease_s)s, %(slack_s)s) AS number

-- name: prune
DELETE FROM job WHERE ctid IN (
    SELECT ctid FROM job WHERE state = 'done' AND finished_at < now() - interval '7 days'
    ORDER BY finished_at LIMIT 5000 FOR UPDATE SKIP LOCKED
)
