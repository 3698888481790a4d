-- Who did what to which resource: one row in the transaction of the act itself, given out as FHIR AuditEvent. Ids, codes
-- and the parameters of searches; never an answer or a name.
CREATE TABLE audit_event (
    tenant_id   uuid NOT NULL,
    number      bigint GENERATED ALWAYS AS IDENTITY,
    recorded    timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
    interaction text NOT NULL,          -- FHIR restful-interaction, or login
    word        text,                   -- what it meant for us: acknowledged, delivered, ... (shared/audit/act.py)
    outcome     text NOT NULL,          -- FHIR audit-event-outcome
    agent       text NOT NULL,          -- id of the client or service
    address     text,                   -- network address that it came from
    type        text,                   -- of the resource
    ref_id      text COLLATE "C",
    ref_version integer,
    patient     text COLLATE "C",       -- reference or system|value
    query       text,                   -- parameters of a search
    request     text,                   -- X-Request-Id
    -- newest first, page by page; one event by its id
    PRIMARY KEY (tenant_id, recorded, number)
);
-- search by patient
CREATE INDEX audit_event_patient ON audit_event (tenant_id, patient, recorded, number) WHERE patient IS NOT NULL;
-- search by entity
CREATE INDEX audit_event_entity ON audit_event (tenant_id, ref_id, recorded, number) WHERE ref_id IS NOT NULL;

-- Events that no seal holds yet. What is here is only a list of work; the seals say what is sealed.
CREATE TABLE audit_unsealed (
    tenant_id uuid NOT NULL,
    recorded  timestamptz NOT NULL,
    number    bigint NOT NULL,
    PRIMARY KEY (tenant_id, recorded, number)
);

-- The chain: each seal holds the digests of some events and, in its own hash, that of the seal before. A request never
-- waits for it; the background process seals every few seconds, one tenant at a time.
CREATE TABLE audit_seal (
    tenant_id uuid NOT NULL,
    position  bigint NOT NULL CHECK (position >= 1),
    numbers   bigint[] NOT NULL,        -- of the events, ascending
    digests   bytea[] NOT NULL,         -- of the events, in the same order
    hash      bytea NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, position)
);

CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit();

-- Record an act in the caller's transaction.
CREATE FUNCTION record_audit(
    in_tenant uuid, in_interaction text, in_word text, in_outcome text, in_agent text, in_address text, in_type text,
    in_id text, in_version integer, in_patient text, in_query text, in_request text
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    made audit_event%ROWTYPE;
BEGIN
    INSERT INTO audit_event (tenant_id, interaction, word, outcome, agent, address, type, ref_id, ref_version, patient,
                             query, request)
    VALUES (in_tenant, in_interaction, in_word, in_outcome, in_agent, in_address, in_type, in_id, in_version, in_patient,
            in_query, in_request)
    RETURNING * INTO made;
    INSERT INTO audit_unsealed (tenant_id, recorded, number) VALUES (made.tenant_id, made.recorded, made.number);
    RETURN made.number;
END
$$;

-- The digest of an event: SHA-256 of its fields in this order, each as its length in characters, a colon and its text, or
-- "-" for none; the time in milliseconds since 1970. (shared/audit/chain.py computes the same, without this database.)
CREATE FUNCTION audit_digest(e audit_event) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(convert_to(string_agg(coalesce(char_length(f.field) || ':' || f.field, '-'), '' ORDER BY f.at), 'UTF8'))
    FROM unnest(ARRAY[
        e.tenant_id::text, e.number::text, (extract(epoch FROM e.recorded) * 1000)::bigint::text, e.interaction, e.word,
        e.outcome, e.agent, e.address, e.type, e.ref_id, e.ref_version::text, e.patient, e.query, e.request
    ]) WITH ORDINALITY AS f (field, at)
$$;

-- Seal what this tenant has that is not sealed yet, at most so many events; returns how many.
CREATE FUNCTION seal_audit(in_tenant uuid, most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    before  audit_seal%ROWTYPE;
    numbers bigint[];
    digests bytea[];
    link    bytea;
    one     bytea;
BEGIN
    PERFORM set_config('sural.tenant', in_tenant::text, true);
    PERFORM pg_advisory_xact_lock(hashtextextended('audit/' || current_schema() || '/' || in_tenant, 0));
    WITH taken AS (
        DELETE FROM audit_unsealed AS u WHERE u.tenant_id = in_tenant AND (u.recorded, u.number) IN (
            SELECT w.recorded, w.number FROM audit_unsealed AS w WHERE w.tenant_id = in_tenant
            ORDER BY w.recorded, w.number LIMIT most)
        RETURNING u.recorded, u.number
    )
    SELECT array_agg(e.number ORDER BY e.number), array_agg(audit_digest(e) ORDER BY e.number) INTO numbers, digests
    FROM taken AS t JOIN audit_event AS e ON e.tenant_id = in_tenant AND e.recorded = t.recorded AND e.number = t.number;
    IF numbers IS NULL THEN
        RETURN 0;
    END IF;
    SELECT * INTO before FROM audit_seal AS s WHERE s.tenant_id = in_tenant ORDER BY s.position DESC LIMIT 1;
    link := coalesce(before.hash, ''::bytea) || convert_to((coalesce(before.position, 0) + 1)::text || ':', 'UTF8');
    FOREACH one IN ARRAY digests LOOP
        link := link || one;
    END LOOP;
    INSERT INTO audit_seal (tenant_id, position, numbers, digests, hash)
    VALUES (in_tenant, coalesce(before.position, 0) + 1, numbers, digests, sha256(link));
    RETURN cardinality(numbers);
END
$$;

-- Tenants with events that are not sealed yet (those of what is published are sealed by migrations, which write them);
-- tenants that have an audit at all.
CREATE FUNCTION tenants_unsealed() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT DISTINCT u.tenant_id FROM audit_unsealed AS u WHERE u.tenant_id <> published_tenant()
$$;
SELECT sees_all_tenants('tenants_unsealed()');

CREATE FUNCTION tenants_audited() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    WITH RECURSIVE tenant (id) AS (
        (SELECT e.tenant_id FROM audit_event AS e ORDER BY e.tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT e.tenant_id FROM audit_event AS e WHERE e.tenant_id > tenant.id ORDER BY e.tenant_id LIMIT 1)
        FROM tenant WHERE tenant.id IS NOT NULL
    )
    SELECT tenant.id FROM tenant WHERE tenant.id IS NOT NULL
    UNION
    SELECT s.tenant_id FROM audit_seal AS s WHERE s.position = 1
$$;
SELECT sees_all_tenants('tenants_audited()');
