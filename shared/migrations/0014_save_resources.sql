-- Store new versions of resources of one tenant, and the rows by which they are found, in one call. in_new: for each
-- {"type", "id", "version", "time", "tag", "values", "ranges"} (the last two as in index_resource), in the order of
-- in_bodies and in_digests. Each becomes the current version of its resource; none may be given twice.
DROP FUNCTION save_resources(uuid, text[], text[], integer[], timestamptz[], text[], bytea[], bytea[], jsonb[]);
CREATE FUNCTION save_resources(in_tenant uuid, in_new jsonb, in_bodies bytea[], in_digests bytea[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    replaced text[];
    kinds    text[];
BEGIN
    SELECT array_agg(new ->> 'type'), array_agg(new ->> 'id') INTO kinds, replaced
    FROM jsonb_array_elements(in_new) AS new WHERE (new ->> 'version')::integer > 1;
    IF replaced IS NOT NULL THEN
        UPDATE resource AS r SET is_current = false FROM unnest(kinds, replaced) AS old (type, id)
        WHERE r.tenant_id = in_tenant AND r.type = old.type AND r.id = old.id AND r.is_current;
        DELETE FROM search_value AS v USING unnest(kinds, replaced) AS old (type, id)
        WHERE v.tenant_id = in_tenant AND v.type = old.type AND v.id = old.id;
        DELETE FROM search_range AS v USING unnest(kinds, replaced) AS old (type, id)
        WHERE v.tenant_id = in_tenant AND v.type = old.type AND v.id = old.id;
    END IF;
    INSERT INTO resource (tenant_id, type, id, version_id, last_updated, tag, body, sha256)
    SELECT in_tenant, about ->> 'type', about ->> 'id', (about ->> 'version')::integer, (about ->> 'time')::timestamptz,
           about ->> 'tag', body, digest
    FROM ROWS FROM (jsonb_array_elements(in_new), unnest(in_bodies), unnest(in_digests)) AS new (about, body, digest);
    INSERT INTO search_value (tenant_id, type, param, system, value, id)
    SELECT in_tenant, new ->> 'type', each ->> 0, each ->> 1, each ->> 2, new ->> 'id'
    FROM jsonb_array_elements(in_new) AS new, jsonb_array_elements(new -> 'values') AS each
    ON CONFLICT DO NOTHING;
    INSERT INTO search_range (tenant_id, type, param, low, high, id)
    SELECT in_tenant, new ->> 'type', each ->> 0, (each ->> 1)::double precision, (each ->> 2)::double precision, new ->> 'id'
    FROM jsonb_array_elements(in_new) AS new, jsonb_array_elements(new -> 'ranges') AS each
    ON CONFLICT DO NOTHING;
END
$$;
