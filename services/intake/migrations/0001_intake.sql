-- Sender's identifiers of responses: what makes a repeated post find the first one, also when fifty arrive at once.
CREATE TABLE response_key (
    tenant_id uuid NOT NULL,
    system    text COLLATE "C" NOT NULL,    -- '' when the identifier has no system
    value     text COLLATE "C" NOT NULL,
    id        text COLLATE "C" NOT NULL,    -- of the QuestionnaireResponse
    PRIMARY KEY (tenant_id, system, value)
);

-- Published Questionnaires: canonical url and version name one resource for ever.
CREATE TABLE questionnaire (
    tenant_id    uuid NOT NULL,
    url          text COLLATE "C" NOT NULL,
    version      text COLLATE "C" NOT NULL,
    id           text COLLATE "C" NOT NULL,
    status       text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, url, version)
);

-- The one statement that accepts a response: resource, identifier, key and outbox row, or the response that was there
-- first. A parallel insert of the same key waits for the other to end, so one of them always finds the other.
CREATE FUNCTION accept_response(
    in_tenant uuid, in_id text, in_status text, in_subject text, in_body bytea, in_sha256 bytea,
    in_system text, in_value text, in_queue text
) RETURNS TABLE (created boolean, response_id text) LANGUAGE plpgsql AS $$
DECLARE
    taken text;
BEGIN
    IF in_value IS NOT NULL THEN
        INSERT INTO response_key AS k (tenant_id, system, value, id) VALUES (in_tenant, in_system, in_value, in_id)
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            SELECT k.id INTO taken FROM response_key AS k
            WHERE k.tenant_id = in_tenant AND k.system = in_system AND k.value = in_value;
            RETURN QUERY SELECT false, taken;
            RETURN;
        END IF;
        INSERT INTO resource_identifier (tenant_id, type, system, value, id)
        VALUES (in_tenant, 'QuestionnaireResponse', in_system, in_value, in_id);
    END IF;
    INSERT INTO resource (tenant_id, type, id, version_id, last_updated, status, subject, body, sha256)
    VALUES (in_tenant, 'QuestionnaireResponse', in_id, 1, date_trunc('milliseconds', clock_timestamp()),
            in_status, in_subject, in_body, in_sha256);
    INSERT INTO outbox (tenant_id, queue, ref_id, ref_version) VALUES (in_tenant, in_queue, in_id, 1);
    RETURN QUERY SELECT true, in_id;
END
$$;
