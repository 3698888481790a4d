-- Submissions that were refused but hold answers: kept until triage has looked for what cannot wait. Nothing here is a
-- resource, and nothing is read from here but by triage and the person who sent it.
CREATE TABLE quarantine (
    tenant_id    uuid NOT NULL,
    id           text COLLATE "C" NOT NULL,     -- UUIDv5 of tenant and sha256: the same text again is the same row
    received_at  timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
    refused_at   timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),    -- the last time
    times        integer NOT NULL DEFAULT 1,
    client       text NOT NULL,                 -- who sent it first
    status       integer NOT NULL,              -- HTTP status of the refusal
    problems     text[] NOT NULL,               -- codes of the reasons, no text
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'not_urgent', 'urgent')),
    examined_at  timestamptz,
    erase_at     timestamptz,                   -- set when the alert is acknowledged
    body         bytea,                         -- as received; NULL: erased
    sha256       bytea NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK (state <> 'waiting' OR body IS NOT NULL),
    CHECK (state <> 'not_urgent' OR body IS NULL)
);
-- how many were kept lately, and what triage has not looked at yet
CREATE INDEX quarantine_received ON quarantine (tenant_id, received_at);
CREATE INDEX quarantine_waiting ON quarantine (tenant_id, received_at) WHERE state = 'waiting';
-- whose alert may have been acknowledged; what is to be erased
CREATE INDEX quarantine_urgent ON quarantine (tenant_id, erase_at) WHERE state = 'urgent' AND body IS NOT NULL;

-- Refused submissions that were not kept because there were too many: an alarm for the operator.
CREATE TABLE quarantine_turned_away (
    tenant_id uuid PRIMARY KEY,
    number    bigint NOT NULL,
    last_at   timestamptz NOT NULL
);

-- The one statement that keeps a refused submission: row and outbox row. Answers kept, known (the same text before) or
-- full. At most in_limit rows of a tenant are kept per minute, and at most as many wait unexamined.
CREATE FUNCTION quarantine_response(
    in_tenant uuid, in_id text, in_client text, in_status integer, in_problems text[], in_body bytea, in_sha256 bytea,
    in_limit integer, in_queue text
) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('sural.tenant', in_tenant::text, true);
    UPDATE quarantine SET times = times + 1, refused_at = date_trunc('milliseconds', clock_timestamp())
    WHERE tenant_id = in_tenant AND id = in_id;
    IF FOUND THEN
        RETURN 'known';
    END IF;
    IF (SELECT count(*) FROM quarantine
        WHERE tenant_id = in_tenant AND received_at > now() - interval '1 minute') >= in_limit
       OR (SELECT count(*) FROM quarantine WHERE tenant_id = in_tenant AND state = 'waiting') >= in_limit THEN
        INSERT INTO quarantine_turned_away AS turned (tenant_id, number, last_at) VALUES (in_tenant, 1, now())
        ON CONFLICT (tenant_id) DO UPDATE SET number = turned.number + 1, last_at = excluded.last_at;
        RETURN 'full';
    END IF;
    INSERT INTO quarantine (tenant_id, id, client, status, problems, body, sha256)
    VALUES (in_tenant, in_id, in_client, in_status, in_problems, in_body, in_sha256) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN 'known';
    END IF;
    INSERT INTO outbox (tenant_id, queue, ref_id, ref_version) VALUES (in_tenant, in_queue, in_id, 1);
    RETURN 'kept';
END
$$;
