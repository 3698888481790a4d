-- Named queries of shared/take_up.py.

-- name: take_up
-- Note work of a kind, and take it at once where nothing else is due.
SELECT tenant_id, ref_id, ref_version, lease_token FROM take_up_jobs(%(kind)s, %(refs)s::jsonb, %(lease_s)s)
