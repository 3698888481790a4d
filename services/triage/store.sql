-- Named queries of triage.

-- name: current
-- The status is that of the search rows, so that no body is read.
SELECT a.id, a.version_id, a.response_version, a.pack_version, v.value AS status
FROM assessment AS a
LEFT JOIN search_value AS v ON v.tenant_id = a.tenant_id AND v.type = 'RiskAssessment' AND v.id = a.id
    AND v.param = 'status'
WHERE a.tenant_id = %(tenant)s AND a.id = ANY (%(ids)s)

-- name: unassessed
-- Versions between the newest one before this version that was assessed and this version, but those that were set aside
-- or have failed for too long; and whether there is work noted for them.
SELECT version, job.state IS NOT NULL AS noted
FROM generate_series(
    1 + coalesce((SELECT max(response_version) FROM assessment_run
                  WHERE tenant_id = %(tenant)s AND response_id = %(response_id)s AND response_version < %(version)s), 0),
    %(version)s - 1) AS version
LEFT JOIN job ON job.tenant_id = %(tenant)s AND job.kind = %(kind)s AND job.ref_id = %(response_id)s
    AND job.ref_version = version
WHERE job.state IS NULL OR job.state IN ('pending', 'running')
    AND NOT (job.attempts > %(attempts)s AND job.created_at < now() - make_interval(secs => %(age_s)s))
ORDER BY version

-- name: open_chunk
SELECT * FROM open_chunk(%(tenant)s, %(keys)s, %(ids)s, %(responses)s, %(subjects)s, %(packs)s, %(hours)s)

-- name: store
SELECT store_assessments(%(tenant)s, %(outcomes)s::jsonb, %(new)s::jsonb, %(bodies)b, %(digests)b, %(acts)s::jsonb,
                         %(claims)s::jsonb) AS found

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0))

-- name: earlier
SELECT urgency FROM urgencies_before(%(tenant)s, %(response)s, %(subject)s, %(pack)s, %(hours)s)

-- name: name_canonical
INSERT INTO canonical (tenant_id, type, id, url, version, name, title)
VALUES (%(tenant)s, %(type)s, %(id)s, %(url)s, %(version)s, %(name)s, %(title)s)
ON CONFLICT (tenant_id, type, id) DO UPDATE
SET url = excluded.url, version = excluded.version, name = excluded.name, title = excluded.title

-- name: count_repair
INSERT INTO repair (kind, number) VALUES (%(kind)s, %(number)s)
ON CONFLICT (kind) DO UPDATE SET number = repair.number + excluded.number

-- name: repairs
SELECT kind, number FROM repair ORDER BY kind

-- name: by_urgency
SELECT urgency, number FROM assessments_by_urgency()

-- name: forget_assessments
DELETE FROM assessment WHERE tenant_id = %(tenant)s AND assessed_at < now() - %(kept)s

-- name: forget_runs
DELETE FROM assessment_run WHERE tenant_id = %(tenant)s AND ran_at < now() - %(kept)s
