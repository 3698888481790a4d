-- Tenants with refused submissions that triage has not looked at: where it looks when no message came.
CREATE FUNCTION tenants_with_refused() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT DISTINCT q.tenant_id FROM quarantine AS q WHERE q.state = 'waiting'
$$;
SELECT sees_all_tenants('tenants_with_refused()');

-- Tenants with urgent ones whose text is still kept.
CREATE FUNCTION tenants_keeping_refused() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT DISTINCT q.tenant_id FROM quarantine AS q WHERE q.state = 'urgent' AND q.body IS NOT NULL
$$;
SELECT sees_all_tenants('tenants_keeping_refused()');
