-- The same, but of a version that takes the place of another only those search rows are written that are not there, and only
-- those deleted that it does not make any more: of a dozen mostly one, which says what state the resource is in.
CREATE OR REPLACE FUNCTION save_resources(in_tenant uuid, in_new jsonb, in_bodies bytea[], in_digests bytea[])
RETURNS void LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    made   jsonb;
    wanted jsonb[];
BEGIN
    FOR made IN SELECT new FROM jsonb_array_elements(in_new) AS new WHERE (new ->> 'version')::integer > 1
    LOOP
        wanted := ARRAY(SELECT jsonb_array_elements(made -> 'values'));
        UPDATE resource AS r SET is_current = false
        WHERE r.tenant_id = in_tenant AND r.type = made ->> 'type' AND r.id = made ->> 'id' AND r.is_current;
        DELETE FROM search_value AS v
        WHERE v.tenant_id = in_tenant AND v.type = made ->> 'type' AND v.id = made ->> 'id'
          AND jsonb_build_array(v.param, v.system, v.value) <> ALL (wanted);
        INSERT INTO search_value (tenant_id, type, param, system, value, id)
        SELECT in_tenant, made ->> 'type', each ->> 0, each ->> 1, each ->> 2, made ->> 'id'
        FROM unnest(wanted) AS each
        WHERE NOT EXISTS (
            SELECT FROM search_value AS v
            WHERE v.tenant_id = in_tenant AND v.type = made ->> 'type' AND v.param = each ->> 0 AND v.value = each ->> 2
              AND v.system = each ->> 1 AND v.id = made ->> 'id');
        DELETE FROM search_range AS v WHERE v.tenant_id = in_tenant AND v.type = made ->> 'type' AND v.id = made ->> 'id';
    END LOOP;
    INSERT INTO resource (tenant_id, type, id, version_id, last_updated, tag, body, sha256)
    SELECT in_tenant, about ->> 'type', about ->> 'id', (about ->> 'version')::integer, (about ->> 'time')::timestamptz,
           about ->> 'tag', body, digest
    FROM ROWS FROM (jsonb_array_elements(in_new), unnest(in_bodies), unnest(in_digests)) AS new (about, body, digest);
    INSERT INTO search_value (tenant_id, type, param, system, value, id)
    SELECT in_tenant, new ->> 'type', each ->> 0, each ->> 1, each ->> 2, new ->> 'id'
    FROM jsonb_array_elements(in_new) AS new, jsonb_array_elements(new -> 'values') AS each
    WHERE (new ->> 'version')::integer = 1;
    INSERT INTO search_range (tenant_id, type, param, low, high, id)
    SELECT in_tenant, new ->> 'type', each ->> 0, (each ->> 1)::double precision, (each ->> 2)::double precision, new ->> 'id'
    FROM jsonb_array_elements(in_new) AS new, jsonb_array_elements(new -> 'ranges') AS each;
END
$$;
