-- What searches find: rows of the current version of every resource, made by shared/fhir/search_index.py.

-- Codes, identifiers, references, addresses and texts. `system` holds what stands beside the value: the system of a code
-- or identifier, the version that a reference or canonical names, a text as it was written (value: without case, accents).
CREATE TABLE search_value (
    tenant_id uuid NOT NULL,
    type      text COLLATE "C" NOT NULL,
    param     text COLLATE "C" NOT NULL,
    system    text COLLATE "C" NOT NULL,    -- '' where there is none
    value     text COLLATE "C" NOT NULL,
    id        text COLLATE "C" NOT NULL,
    -- search by value, and by the beginning of a text or address
    PRIMARY KEY (tenant_id, type, param, value, system, id)
);
-- replacing the rows of one resource; :missing; whether a resource found otherwise has a value; what it refers to
CREATE INDEX search_value_owner ON search_value (tenant_id, type, id, param);
-- A status that nearly all have and an identifier that one has need different plans: let the planner know which is which.
CREATE STATISTICS search_value_common (mcv) ON type, param, value FROM search_value;

-- Dates as spans of time in milliseconds since 1970, from low up to but without high; numbers as they are, low = high.
CREATE TABLE search_range (
    tenant_id uuid NOT NULL,
    type      text COLLATE "C" NOT NULL,
    param     text COLLATE "C" NOT NULL,
    low       double precision NOT NULL,    -- -Infinity: open
    high      double precision NOT NULL,    -- Infinity: open
    id        text COLLATE "C" NOT NULL,
    -- search by the beginning of the span; order by it
    PRIMARY KEY (tenant_id, type, param, low, id, high)
);
-- search by the end of the span
CREATE INDEX search_range_high ON search_range (tenant_id, type, param, high);
-- replacing the rows of one resource; :missing; whether a resource found otherwise has a value
CREATE INDEX search_range_owner ON search_range (tenant_id, type, id, param);

-- Which edition of the search parameters the rows of a type were made with; migration makes them anew when it changed.
CREATE TABLE search_edition (
    type    text COLLATE "C" PRIMARY KEY,
    edition text NOT NULL
);

-- history of a type: together with resource_last_updated, which has the current versions
CREATE INDEX resource_retired ON resource (tenant_id, type, last_updated, id) WHERE NOT is_current;

-- Give a resource these rows: {"values": [[param, system, value], ...], "ranges": [[param, low, high], ...]}.
-- in_anew: it may have rows already, of an earlier version.
CREATE FUNCTION index_resource(in_tenant uuid, in_type text, in_id text, in_rows jsonb, in_anew boolean)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF in_anew THEN
        DELETE FROM search_value AS v WHERE v.tenant_id = in_tenant AND v.type = in_type AND v.id = in_id;
        DELETE FROM search_range AS r WHERE r.tenant_id = in_tenant AND r.type = in_type AND r.id = in_id;
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
