-- Named queries of services/notify/on_call/store.py.

-- name: newest
-- Number of the newest version of the document, and what stands for its text.
SELECT version, sha256 FROM on_call_document WHERE tenant_id = %(tenant_id)s ORDER BY version DESC LIMIT 1

-- name: digest
-- What stands for the text of one version.
SELECT version, sha256 FROM on_call_document WHERE tenant_id = %(tenant_id)s AND version = %(version)s

-- name: version
-- One version of the document.
SELECT version, text, sha256, saved_at, saved_by FROM on_call_document
WHERE tenant_id = %(tenant_id)s AND version = %(version)s

-- name: versions
-- Who saved what when, the newest first.
SELECT version, sha256, saved_at, saved_by FROM on_call_document
WHERE tenant_id = %(tenant_id)s ORDER BY version DESC LIMIT %(limit)s

-- name: save
-- The next version; no row when somebody else saved it first.
INSERT INTO on_call_document (tenant_id, version, text, sha256, saved_by)
VALUES (%(tenant_id)s, %(version)s, %(text)s, %(sha256)s, %(saved_by)s)
ON CONFLICT (tenant_id, version) DO NOTHING

-- name: tenants
SELECT tenants_on_call() AS tenant

-- name: watch
-- What the last look ahead found, locked: one process looks at a time.
SELECT version, looked_at, gap_hours, flaws, first_gap, told_at FROM on_call_watch
WHERE tenant_id = %(tenant_id)s FOR UPDATE

-- name: save_watch
INSERT INTO on_call_watch (tenant_id, version, looked_at, gap_hours, flaws, first_gap, told_at)
VALUES (%(tenant_id)s, %(version)s, %(looked_at)s, %(gap_hours)s, %(flaws)s, %(first_gap)s, %(told_at)s)
ON CONFLICT (tenant_id) DO UPDATE
SET version = excluded.version, looked_at = excluded.looked_at, gap_hours = excluded.gap_hours,
    flaws = excluded.flaws, first_gap = excluded.first_gap, told_at = excluded.told_at

-- name: measure_gaps
SELECT gap_hours, flaws FROM on_call_gaps()

-- name: measure_exhausted
SELECT urgency, number FROM exhausted_alerts()
