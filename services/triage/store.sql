-- Named queries of triage.

-- name: current
SELECT id, version_id, response_version, pack_version FROM assessment
WHERE tenant_id = %(tenant)s AND id = ANY (%(ids)s)

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
INSERT INTO assessment_run (tenant_id, response_id, response_version, pack, pack_version)
VALUES (%(tenant)s, %(response_id)s, %(response_version)s, %(pack)s, %(pack_version)s)

-- name: count_repair
INSERT INTO repair (kind, number) VALUES (%(kind)s, %(number)s)
ON CONFLICT (kind) DO UPDATE SET number = repair.number + excluded.number

-- name: repairs
SELECT kind, number FROM repair ORDER BY kind

-- name: by_urgency
SELECT coalesce(urgency, 'none') AS urgency, count(*) AS number FROM assessment GROUP BY 1 ORDER BY 1

-- name: cursor
SELECT last_updated FROM catch_up_cursor WHERE source = %(source)s

-- name: move_cursor
INSERT INTO catch_up_cursor (source, last_updated) VALUES (%(source)s, %(last_updated)s)
ON CONFLICT (source) DO UPDATE SET last_updated = greatest(catch_up_cursor.last_updated, excluded.last_updated)
