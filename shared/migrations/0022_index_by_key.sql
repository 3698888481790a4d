-- The same, but rows that are replaced are found by the id of their resource, whatever was planned while there was little:
-- only the indexes of what a resource has are in this order (0018).
CREATE OR REPLACE FUNCTION index_resource(in_tenant uuid, in_type text, in_id text, in_rows jsonb, in_anew boolean)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF in_anew THEN
        DELETE FROM search_value AS v WHERE v.ctid = ANY (ARRAY(
            SELECT o.ctid FROM search_value AS o
            WHERE o.tenant_id = in_tenant AND o.type = in_type AND o.id BETWEEN in_id AND in_id ORDER BY o.id, o.param));
        DELETE FROM search_range AS v WHERE v.ctid = ANY (ARRAY(
            SELECT o.ctid FROM search_range AS o
            WHERE o.tenant_id = in_tenant AND o.type = in_type AND o.id BETWEEN in_id AND in_id ORDER BY o.id, o.param));
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
