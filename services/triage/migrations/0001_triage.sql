-- The one assessment of each response and pack, and which version of the response it stands on. A run for an older
-- version of the response than this finds its row refused and writes nothing.
CREATE TABLE assessment (
    tenant_id        uuid NOT NULL,
    id               text COLLATE "C" NOT NULL,     -- of the RiskAssessment
    response_id      text COLLATE "C" NOT NULL,
    response_version integer NOT NULL,
    pack             text NOT NULL,
    pack_version     text NOT NULL,
    pack_sha256      text NOT NULL,
    version_id       integer NOT NULL,              -- of the RiskAssessment
    urgency          text,                          -- NULL: none was given (preliminary, withdrawn)
    assessed_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, response_id, pack)
);

-- Every evaluation that was ever committed: response version and pack version are run once.
CREATE TABLE assessment_run (
    tenant_id        uuid NOT NULL,
    response_id      text COLLATE "C" NOT NULL,
    response_version integer NOT NULL,
    pack             text NOT NULL,
    pack_version     text NOT NULL,
    ran_at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, response_id, response_version, pack, pack_version)
);

-- What the reconciler had to put right. A number that grows is an alarm for the operator.
CREATE TABLE repair (
    kind   text PRIMARY KEY,
    number bigint NOT NULL DEFAULT 0
);
