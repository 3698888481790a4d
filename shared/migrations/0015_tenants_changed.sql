-- The same question, asked of each tenant by itself: one row of its newest answers it. As a condition it was planned as a
-- join, which reads whatever changed since then, and once a minute that is everything of a day.
CREATE OR REPLACE FUNCTION tenants_changed(in_type text, since timestamptz) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    WITH RECURSIVE tenant (id) AS (
        (SELECT r.tenant_id FROM resource AS r ORDER BY r.tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT r.tenant_id FROM resource AS r WHERE r.tenant_id > tenant.id ORDER BY r.tenant_id LIMIT 1)
        FROM tenant WHERE tenant.id IS NOT NULL
    )
    SELECT tenant.id FROM tenant
    CROSS JOIN LATERAL (
        SELECT FROM resource AS r
        WHERE r.tenant_id = tenant.id AND r.type = in_type AND r.is_current AND r.last_updated >= since
        ORDER BY r.last_updated DESC LIMIT 1) AS changed
    WHERE tenant.id <> published_tenant()
$$;
SELECT sees_all_tenants('tenants_changed(text, timestamptz)');
