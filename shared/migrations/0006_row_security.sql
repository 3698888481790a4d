-- Tenants are kept apart by the database itself, whatever a query forgets: row security on every table with a tenant_id.

-- On whose behalf this transaction acts (shared/postgres.py, set_tenant). NULL: nobody, and no row of any tenant is seen.
CREATE FUNCTION present_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('sural.tenant', true), '')::uuid;

-- The tenant of what we publish (shared/ids.py, PUBLISHED_TENANT): everybody reads it, only migrations write it.
CREATE FUNCTION published_tenant() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'c9ed42bf-0bc4-55cd-a4fd-5a9c0266914a'::uuid;

-- Give every table of this schema with a tenant_id the policies that it lacks. Run at the end of every migration, so that
-- no new table is forgotten; what is there already is left alone, so that a second run locks nothing.
--
-- own_tenant      rows of the present tenant are read and written, by the service and by the owner
-- published       rows that we publish are read by everybody
-- not_written_by  the service writes nothing that we publish
-- in_functions    a function that runs as the owner for somebody else (below) sees all tenants: it gives out ids and counts;
--                 so does the owner who asks for it, for migrations that work on the rows of all tenants
-- across_tenants  in place of all these: ids and states of work, which relay, workers and sweeps take for all tenants
CREATE FUNCTION keep_tenants_apart(service_role name) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found record;
    narrow CONSTANT text[] := ARRAY['outbox', 'job'];
BEGIN
    FOR found IN
        SELECT c.oid, c.relname AS name, r.rolname AS owner, c.relrowsecurity AND c.relforcerowsecurity AS secured,
               ARRAY(SELECT p.polname::text FROM pg_policy AS p WHERE p.polrelid = c.oid) AS policies
        FROM pg_class AS c
        JOIN pg_roles AS r ON r.oid = c.relowner
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
    LOOP
        IF NOT found.secured THEN
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', found.name);
        END IF;
        IF found.name = ANY (narrow) THEN
            IF NOT 'across_tenants' = ANY (found.policies) THEN
                EXECUTE format('CREATE POLICY across_tenants ON %I TO %I, %I USING (true) WITH CHECK (true)',
                               found.name, service_role, found.owner);
            END IF;
            CONTINUE;
        END IF;
        IF NOT 'own_tenant' = ANY (found.policies) THEN
            EXECUTE format('CREATE POLICY own_tenant ON %I USING (tenant_id = (SELECT present_tenant())) '
                           'WITH CHECK (tenant_id = (SELECT present_tenant()))', found.name);
        END IF;
        IF NOT 'published' = ANY (found.policies) THEN
            EXECUTE format('CREATE POLICY published ON %I FOR SELECT USING (tenant_id = published_tenant())',
                           found.name);
        END IF;
        IF NOT 'not_inserted_by_service' = ANY (found.policies) THEN
            EXECUTE format('CREATE POLICY not_inserted_by_service ON %I AS RESTRICTIVE FOR INSERT TO %I '
                           'WITH CHECK (tenant_id <> published_tenant())', found.name, service_role);
            EXECUTE format('CREATE POLICY not_updated_by_service ON %I AS RESTRICTIVE FOR UPDATE TO %I '
                           'USING (tenant_id <> published_tenant())', found.name, service_role);
            EXECUTE format('CREATE POLICY not_deleted_by_service ON %I AS RESTRICTIVE FOR DELETE TO %I '
                           'USING (tenant_id <> published_tenant())', found.name, service_role);
        END IF;
        IF NOT 'in_functions' = ANY (found.policies) THEN
            EXECUTE format('CREATE POLICY in_functions ON %I TO %I '
                           'USING (session_user <> current_user OR current_setting(''sural.across_tenants'', true) = ''on'') '
                           'WITH CHECK (false)',
                           found.name, found.owner);
        END IF;
    END LOOP;
END
$$;

-- Let a function of this schema see all tenants: it runs as the owner, in this schema and in no other.
CREATE FUNCTION sees_all_tenants(signature text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = %I, pg_temp',
                   signature::regprocedure, current_schema());
END
$$;

-- Which tenants have a current resource of this type that changed since then: their ids and nothing else. For neighbours
-- that catch up. Walks from tenant to tenant in resource_last_updated.
CREATE FUNCTION tenants_changed(in_type text, since timestamptz) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    WITH RECURSIVE tenant (id) AS (
        (SELECT r.tenant_id FROM resource AS r ORDER BY r.tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT r.tenant_id FROM resource AS r WHERE r.tenant_id > tenant.id ORDER BY r.tenant_id LIMIT 1)
        FROM tenant WHERE tenant.id IS NOT NULL
    )
    SELECT tenant.id FROM tenant
    WHERE tenant.id <> published_tenant() AND EXISTS (
        SELECT FROM resource AS r
        WHERE r.tenant_id = tenant.id AND r.type = in_type AND r.is_current AND r.last_updated >= since)
$$;
SELECT sees_all_tenants('tenants_changed(text, timestamptz)');

-- What was published before there was a tenant for it.
UPDATE resource SET tenant_id = published_tenant()
WHERE type IN ('Questionnaire', 'Device', 'Library', 'PlanDefinition', 'CodeSystem', 'ValueSet');
UPDATE resource_identifier SET tenant_id = published_tenant()
WHERE type IN ('Questionnaire', 'Device', 'Library', 'PlanDefinition', 'CodeSystem', 'ValueSet');
UPDATE search_value SET tenant_id = published_tenant()
WHERE type IN ('Questionnaire', 'Device', 'Library', 'PlanDefinition', 'CodeSystem', 'ValueSet');
UPDATE search_range SET tenant_id = published_tenant()
WHERE type IN ('Questionnaire', 'Device', 'Library', 'PlanDefinition', 'CodeSystem', 'ValueSet');
