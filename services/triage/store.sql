-- Named queries of triage.

-- name: current
SELECT a.id, a.version_id, a.response_version, a.pack_version, convert_from(r.body, 'UTF8')::jsonb ->> 'status' AS status
FROM assessment AS a
LEFT JOIN resource AS r ON r.tenant_id = a.tenant_id AND r.type = 'RiskAssessment' AND r.id = a.id
    AND r.version_id = a.version_id
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

-- name: supersede
INSERT INTO assessment AS held (tenant_id, id, response_id, response_version, pack, pack_version, pack_sha256,
                                version_id, urgency, assessed_at)
VALUES (%(tenant)s, %(id)s, %(response_id)s, %(response_version)s, %(pack)s, %(pack_version)s, %(pack_sha256)s,
        %(version_id)s, %(urgency)s, %(assessed_at)s)
ON CONFLICT (tenant_id, id) DO UPDATE
SET response_version = excluded.response_version, pack_version = excluded.pack_version,
    pack_sha256 = excluded.pack_sha256, version_id = excluded.version_id, urgency = excluded.urgency,
    assessed_at = excluded.assessed_at
WHERE held.response_version < excluded.response_version AND held.version_id = excluded.version_id - 1

-- name: note_run
INSERT INTO assessment_run (tenant_id, response_id, response_version, pack, pack_version, subject, urgency, withdrawn,
                            by_clinician)
VALUES (%(tenant)s, %(response_id)s, %(response_version)s, %(pack)s, %(pack_version)s, %(subject)s, %(urgency)s,
        %(withdrawn)s, %(by_clinician)s)

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0))

-- name: earlier
-- Urgencies that evaluations of this patient or this response had by their own answers, from a clinician's own answers
-- on, and without responses that were entered in error.
WITH lately AS (
    SELECT response_id, response_version, urgency, withdrawn, by_clinician, ran_at FROM assessment_run
    WHERE tenant_id = %(tenant)s AND pack = %(pack)s AND ran_at > now() - make_interval(hours => %(hours)s)
      AND (response_id = %(response_id)s OR subject = %(subject)s)),
standing AS (
    SELECT urgency, by_clinician, ran_at FROM lately
    WHERE NOT withdrawn AND NOT EXISTS (
        SELECT FROM lately AS later
        WHERE later.response_id = lately.response_id AND later.withdrawn
          AND later.response_version > lately.response_version))
SELECT DISTINCT urgency FROM standing
WHERE urgency IS NOT NULL
  AND ran_at >= coalesce((SELECT max(ran_at) FROM standing WHERE by_clinician), '-infinity')

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
