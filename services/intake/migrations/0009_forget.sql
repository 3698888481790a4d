-- Tenants with keys and digests that have served their time: where the sweep deletes them.
CREATE FUNCTION tenants_with_old_keys() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT k.tenant_id FROM idempotency_key AS k WHERE k.used_at < clock_timestamp() - interval '24 hours'
    UNION
    SELECT c.tenant_id FROM recent_content AS c WHERE c.seen_at < clock_timestamp() - interval '10 minutes'
$$;
SELECT sees_all_tenants('tenants_with_old_keys()');
