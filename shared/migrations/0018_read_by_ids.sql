-- Current versions by their ids, for one tenant and in one statement: what our services ask most of each other.
CREATE FUNCTION read_by_ids(in_tenant uuid, in_type text, in_ids text[])
RETURNS TABLE (id text, version_id integer, last_updated timestamptz, body bytea, sha256 bytea, tag text)
LANGUAGE plpgsql AS $$
DECLARE
    said text;
BEGIN
    said := set_config('sural.tenant', in_tenant::text, true);
    RETURN QUERY
    SELECT r.id, r.version_id, r.last_updated, r.body, r.sha256, r.tag FROM resource AS r
    WHERE r.tenant_id = in_tenant AND r.type = in_type AND r.id = ANY (in_ids) AND r.is_current
    ORDER BY r.last_updated, r.id;
END
$$;
