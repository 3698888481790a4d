-- FHIR resources with all their versions. A version is written once and never changed, but for is_current.
CREATE TABLE resource (
    tenant_id    uuid NOT NULL,
    type         text COLLATE "C" NOT NULL,
    id           text COLLATE "C" NOT NULL,
    version_id   integer NOT NULL CHECK (version_id >= 1),
    is_current   boolean NOT NULL DEFAULT true,
    last_updated timestamptz NOT NULL,
    status       text,
    subject      text,
    tag          text,              -- urgency of a RiskAssessment: what a neighbour needs to know before it reads the body
    body         bytea NOT NULL,
    sha256       bytea NOT NULL,    -- of body
    PRIMARY KEY (tenant_id, type, id, version_id)
);

-- read of the newest version; also: never two current versions
CREATE UNIQUE INDEX resource_current ON resource (tenant_id, type, id) WHERE is_current;
-- search by _lastUpdated and every page of a search
CREATE INDEX resource_last_updated ON resource (tenant_id, type, last_updated, id) WHERE is_current;
-- search by subject
CREATE INDEX resource_subject ON resource (tenant_id, type, subject, last_updated, id) WHERE is_current;

-- Business identifiers of the current version.
CREATE TABLE resource_identifier (
    tenant_id uuid NOT NULL,
    type      text COLLATE "C" NOT NULL,
    system    text COLLATE "C" NOT NULL,   -- '' when the identifier has no system
    value     text COLLATE "C" NOT NULL,
    id        text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, type, value, system, id)
);
-- replacing the identifiers of one resource
CREATE INDEX resource_identifier_owner ON resource_identifier (tenant_id, type, id);
