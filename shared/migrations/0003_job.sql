-- Work to be done once per referenced version: claimed with a lease, finished under a fencing token.
CREATE TABLE job (
    tenant_id   uuid NOT NULL,
    kind        text NOT NULL,
    ref_id      text COLLATE "C" NOT NULL,
    ref_version integer NOT NULL,
    state       text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'running', 'done', 'dead')),
    attempts    integer NOT NULL DEFAULT 0,     -- claims that did not end in an orderly way, the present one included
    due_at      timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz,
    lease_token uuid,
    error       text,                           -- class of the last error, never its text
    created_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (tenant_id, kind, ref_id, ref_version)
);
-- claim of due work; reconciler's look for expired leases
CREATE INDEX job_due ON job (kind, due_at) WHERE state IN ('pending', 'running');
-- pruning of finished work
CREATE INDEX job_finished ON job (finished_at) WHERE state = 'done';

-- How far a catch-up has read its neighbour, in the neighbour's own clock.
CREATE TABLE catch_up_cursor (
    source       text PRIMARY KEY,
    last_updated timestamptz NOT NULL
);
