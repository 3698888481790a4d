-- What is stored and read by the id of a resource is found by it, whatever was planned while there was little (0018): where
-- few rows are left of many, another index that begins with the tenant seemed as cheap, although what it gives has to be put
-- in order, and was read from end to end when there were many again.
ALTER FUNCTION read_by_ids(uuid, text, text[]) SET enable_sort = off;

-- Delete the search rows of a resource, each where it was found: for several at once, all that the tenant has seemed cheaper.
CREATE FUNCTION unindex_resource(in_tenant uuid, in_type text, in_id text)
RETURNS void LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
    place tid;
BEGIN
    FOR place IN
        SELECT v.ctid FROM search_value AS v
        WHERE v.tenant_id = in_tenant AND v.type = in_type AND v.id BETWEEN in_id AND in_id ORDER BY v.id, v.param
    LOOP
        DELETE FROM search_value AS v WHERE v.ctid = place;
    END LOOP;
    FOR place IN
        SELECT r.ctid FROM search_range AS r
        WHERE r.tenant_id = in_tenant AND r.type = in_type AND r.id BETWEEN in_id AND in_id ORDER BY r.id, r.param
    LOOP
        DELETE FROM search_range AS r WHERE r.ctid = place;
    END LOOP;
END
$$;

-- Write the search rows of a resource; in_anew: in place of those that it has.
CREATE OR REPLACE FUNCTION index_resource(in_tenant uuid, in_type text, in_id text, in_rows jsonb, in_anew boolean)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF in_anew THEN
        PERFORM unindex_resource(in_tenant, in_type, in_id);
    END IF;
    INSERT INTO search_value (tenant_id, type, param, system, value, id)
    SELECT in_tenant, in_type, each ->> 0, each ->> 1, each ->> 2, in_id
    FROM jsonb_array_elements(in_rows -> 'values') AS each
    ON CONFLICT DO NOTHING;
    INSERT INTO search_range (tenant_id, type, param, low, high, id)
    SELECT in_tenant, in_type, each ->> 0, (each ->> 1)::double precision, (each ->> 2)::double precision, in_id
    FROM jsonb_array_elements(in_rows -> 'ranges') AS each
    ON CONFLICT DO NOTHING;
END
$$;

-- Store new versions as before (0019); what they take the place of is found by its id too.
CREATE OR REPLACE FUNCTION save_resources(in_tenant uuid, in_new jsonb, in_bodies bytea[], in_digests bytea[])
RETURNS void LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
    made   record;
    wanted jsonb[];
    place  tid;
BEGIN
    FOR made IN
        SELECT new ->> 'type' AS type, new ->> 'id' AS id, new -> 'values' AS values
        FROM jsonb_array_elements(in_new) AS new WHERE (new ->> 'version')::integer > 1
    LOOP
        wanted := ARRAY(SELECT jsonb_array_elements(made.values));
        SELECT r.ctid INTO place FROM resource AS r
        WHERE r.tenant_id = in_tenant AND r.type = made.type AND r.id BETWEEN made.id AND made.id AND r.is_current
        ORDER BY r.id LIMIT 1 FOR UPDATE;
        UPDATE resource AS r SET is_current = false WHERE r.ctid = place;
        FOR place IN
            SELECT v.ctid FROM search_value AS v
            WHERE v.tenant_id = in_tenant AND v.type = made.type AND v.id BETWEEN made.id AND made.id
              AND jsonb_build_array(v.param, v.system, v.value) <> ALL (wanted)
            ORDER BY v.id, v.param
        LOOP
            DELETE FROM search_value AS v WHERE v.ctid = place;
        END LOOP;
        INSERT INTO search_value (tenant_id, type, param, system, value, id)
        SELECT in_tenant, made.type, each ->> 0, each ->> 1, each ->> 2, made.id FROM unnest(wanted) AS each
        ON CONFLICT DO NOTHING;
        FOR place IN
            SELECT r.ctid FROM search_range AS r
            WHERE r.tenant_id = in_tenant AND r.type = made.type AND r.id BETWEEN made.id AND made.id
            ORDER BY r.id, r.param
        LOOP
            DELETE FROM search_range AS r WHERE r.ctid = place;
        END LOOP;
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
