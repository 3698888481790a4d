-- Store new versions of resources of one tenant, and the rows by which they are found, in one call: for each resource one
-- element of every array (in_rows as in index_resource). Each becomes the current version; none may be given twice.
CREATE FUNCTION save_resources(
    in_tenant uuid, in_types text[], in_ids text[], in_versions integer[], in_times timestamptz[], in_tags text[],
    in_bodies bytea[], in_digests bytea[], in_rows jsonb[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF 1 < ANY (in_versions) THEN
        UPDATE resource AS r SET is_current = false FROM unnest(in_types, in_ids, in_versions) AS new (type, id, version_id)
        WHERE new.version_id > 1 AND r.tenant_id = in_tenant AND r.type = new.type AND r.id = new.id AND r.is_current;
        DELETE FROM search_value AS v USING unnest(in_types, in_ids, in_versions) AS new (type, id, version_id)
        WHERE new.version_id > 1 AND v.tenant_id = in_tenant AND v.type = new.type AND v.id = new.id;
        DELETE FROM search_range AS v USING unnest(in_types, in_ids, in_versions) AS new (type, id, version_id)
        WHERE new.version_id > 1 AND v.tenant_id = in_tenant AND v.type = new.type AND v.id = new.id;
    END IF;
    INSERT INTO resource (tenant_id, type, id, version_id, last_updated, tag, body, sha256)
    SELECT in_tenant, new.* FROM unnest(in_types, in_ids, in_versions, in_times, in_tags, in_bodies, in_digests) AS new;
    INSERT INTO search_value (tenant_id, type, param, system, value, id)
    SELECT in_tenant, new.type, each ->> 0, each ->> 1, each ->> 2, new.id
    FROM unnest(in_types, in_ids, in_rows) AS new (type, id, rows), jsonb_array_elements(new.rows -> 'values') AS each
    ON CONFLICT DO NOTHING;
    INSERT INTO search_range (tenant_id, type, param, low, high, id)
    SELECT in_tenant, new.type, each ->> 0, (each ->> 1)::double precision, (each ->> 2)::double precision, new.id
    FROM unnest(in_types, in_ids, in_rows) AS new (type, id, rows), jsonb_array_elements(new.rows -> 'ranges') AS each
    ON CONFLICT DO NOTHING;
END
$$;
