-- Named queries of shared/outbox.py, run in the schema of whichever service uses them.

-- name: add
INSERT INTO outbox (tenant_id, queue, ref_id, ref_version)
SELECT tenant, %(queue)s, ref, version
FROM unnest(%(tenants)s::uuid[], %(ids)s::text[], %(versions)s::integer[]) AS told (tenant, ref, version)

-- Nobody waits until these deletions are on a disk: where a crash undoes one, the row is told twice, which changes nothing.
-- name: take
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE queue = ANY (%(queues)s) ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING id, tenant_id, queue, ref_id, ref_version, set_config('synchronous_commit', 'off', true) AS waits_for_disk

-- name: undeliverable
SELECT queue, count(*) AS number FROM outbox WHERE queue <> ALL (%(queues)s) GROUP BY queue ORDER BY queue

-- name: measure
SELECT count(*) AS number, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest_s FROM outbox
