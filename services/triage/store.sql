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

-- name: store
SELECT store_assessments(%(tenant)s, %(outcomes)s::jsonb, %(new)s::jsonb, %(bodies)b, %(digests)b, %(acts)s::jsonb,
                         %(claims)s::jsonb) AS found

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0))

-- name: try_lock
-- Each key, locked unless somebody else has it; and what time it is.
SELECT pg_try_advisory_xact_lock(hashtextextended(asked.key, 0)) AS is_free, clock_timestamp() AS now
FROM unnest(%(keys)s::text[]) WITH ORDINALITY AS asked (key, place) ORDER BY asked.place

-- name: earlier
-- Urgencies that evaluations of each patient or response had by their own answers, from a clinician's own answers on, and
-- without responses that were entered in error.
SELECT asked.place, found.urgency
FROM unnest(%(responses)s::text[], %(subjects)s::text[], %(packs)s::text[]) WITH ORDINALITY
    AS asked (response_id, subject, pack, place)
CROSS JOIN LATERAL (
    WITH lately AS (
        SELECT response_id, response_version, urgency, withdrawn, by_clinician, ran_at FROM assessment_run
        WHERE tenant_id = %(tenant)s AND response_id = asked.response_id AND pack = asked.pack
          AND ran_at > now() - make_interval(hours => %(hours)s)
        UNION
        SELECT response_id, response_version, urgency, withdrawn, by_clinician, ran_at FROM assessment_run
        WHERE tenant_id = %(tenant)s AND subject = asked.subject AND pack = asked.pack
          AND ran_at > now() - make_interval(hours => %(hours)s)),
    standing AS (
        SELECT urgency, by_clinician, ran_at FROM lately
        WHERE NOT withdrawn AND NOT EXISTS (
            SELECT FROM lately AS later
            WHERE later.response_id = lately.response_id AND later.withdrawn
              AND later.response_version > lately.response_version))
    SELECT DISTINCT urgency FROM standing
    WHERE urgency IS NOT NULL
      AND ran_at >= coalesce((SELECT max(ran_at) FROM standing WHERE by_clinician), '-infinity')
) AS found

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
