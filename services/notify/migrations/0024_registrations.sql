-- Tenants in which somebody listens to something: whether their clients may still be told is asked of intake.
CREATE FUNCTION tenants_with_subscriptions() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT DISTINCT s.tenant_id FROM subscription AS s WHERE s.state IN ('requested', 'active', 'error')
$$;
SELECT sees_all_tenants('tenants_with_subscriptions()');
