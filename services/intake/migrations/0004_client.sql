-- Systems that may ask for access tokens (SMART Backend Services). Keys are given by value or by address, never both.
-- A client is looked up to learn its tenant, so this table is kept apart by no tenant: the column is not `tenant_id`.

CREATE TABLE client (
    id text PRIMARY KEY,
    tenant uuid NOT NULL,
    name text NOT NULL,
    jwks text, -- a JSON Web Key Set, public keys only
    jwks_url text,
    scopes text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz,
    CHECK ((jwks IS NULL) <> (jwks_url IS NULL))
);

-- Assertions that were used. Each counts once (RFC 7523); a row is needed until its assertion has expired.
CREATE TABLE client_assertion (
    client_id text NOT NULL REFERENCES client,
    jti text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (client_id, jti)
);

-- forget_assertions
CREATE INDEX client_assertion_expires ON client_assertion (expires_at);
