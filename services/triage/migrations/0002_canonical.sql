-- What names each Library and PlanDefinition that triage publishes: a search by url, version, name or title looks here.
CREATE TABLE canonical (
    tenant_id uuid NOT NULL,
    type      text COLLATE "C" NOT NULL,
    id        text COLLATE "C" NOT NULL,
    url       text COLLATE "C" NOT NULL,
    version   text COLLATE "C" NOT NULL,
    name      text NOT NULL,
    title     text NOT NULL,
    PRIMARY KEY (tenant_id, type, id),
    UNIQUE (tenant_id, type, url, version)          -- one resource answers to a url and version
);
