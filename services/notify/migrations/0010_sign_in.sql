-- People who sign in to the pages. A login name is unique among all tenants: whoever types one has no tenant yet.
CREATE TABLE account (
    id                   uuid PRIMARY KEY,
    tenant_id            uuid NOT NULL,
    login                text,          -- in lower case; null: signs in by an identity provider only
    name                 text NOT NULL, -- what stands in the ledger
    person               text,          -- id in the on-call document
    roles                text[] NOT NULL CHECK (
        cardinality(roles) > 0 AND roles <@ ARRAY['clinician', 'lead', 'administrator', 'auditor']),
    password_hash        text,          -- argon2id, with its parameters and salt
    must_change_password boolean NOT NULL DEFAULT false,
    totp_secret          text,          -- `plain:` and the secret, or `v1:` and the secret under SURAL_ACCOUNT_KEY
    totp_since           timestamptz,   -- when a first code was shown to be right; null: no second factor yet
    totp_last_step       bigint NOT NULL DEFAULT 0,  -- the newest step of 30 s whose code was used: each is used once
    issuer               text,          -- of the identity provider that answers for this person
    subject              text,          -- and who it is there
    created_at           timestamptz NOT NULL DEFAULT now(),
    disabled_at          timestamptz,
    CONSTRAINT account_of_tenant UNIQUE (tenant_id, id),
    CHECK ((issuer IS NULL) = (subject IS NULL)),
    CHECK ((password_hash IS NULL) = (login IS NULL)),
    CHECK (login IS NOT NULL OR subject IS NOT NULL),
    CHECK (totp_since IS NULL OR totp_secret IS NOT NULL)
);
-- sign-in: whose login name this is
CREATE UNIQUE INDEX account_login ON account (login) WHERE login IS NOT NULL;
-- sign-in by an identity provider: whose subject this is
CREATE UNIQUE INDEX account_subject ON account (issuer, subject) WHERE subject IS NOT NULL;

-- Codes for the day on which the telephone is lost; each works once. Random, so a plain SHA-256 keeps them.
CREATE TABLE account_recovery_code (
    tenant_id  uuid NOT NULL,
    account_id uuid NOT NULL,
    code_hash  bytea NOT NULL,
    PRIMARY KEY (tenant_id, account_id, code_hash),
    FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, id) ON DELETE CASCADE
);

-- Browsers on which somebody signed in before: guessing elsewhere does not make them wait.
CREATE TABLE account_device (
    tenant_id   uuid NOT NULL,
    account_id  uuid NOT NULL,
    device_hash bytea NOT NULL,         -- SHA-256 of the cookie
    seen_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, account_id, device_hash),
    FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, id) ON DELETE CASCADE
);

-- Who is signed in. The cookie holds the id, this table only its SHA-256.
CREATE TABLE session (
    tenant_id     uuid NOT NULL,
    id            uuid NOT NULL,        -- names it on the account page; worth nothing as a cookie
    id_hash       bytea NOT NULL,
    account_id    uuid NOT NULL,
    complete      boolean NOT NULL,     -- false: the password was right, and the rest of the sign-in is to come
    second_factor boolean NOT NULL DEFAULT false,
    way           text NOT NULL CHECK (way IN ('password', 'oidc')),
    address       text,                 -- network address at the sign-in
    offered_totp  text,                 -- the secret that the page shows until a code confirms it; as account.totp_secret
    begun_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    used_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, id) ON DELETE CASCADE
);
-- every page: whose cookie this is
CREATE UNIQUE INDEX session_id_hash ON session (id_hash);
-- account page: where else somebody is signed in; ending all of them
CREATE INDEX session_account ON session (tenant_id, account_id);
-- sign-in: forgetting those that are over
CREATE INDEX session_used ON session (used_at);

-- Failed sign-ins, by `login/…` (SHA-256 of what was typed, known or not), `device/…` or `address/…`. Of no tenant.
CREATE TABLE sign_in_failure (
    subject   text PRIMARY KEY,
    failures  integer NOT NULL,
    failed_at timestamptz NOT NULL
);

-- Browsers that were sent to the identity provider and have not come back. Each row is taken once. Of no tenant.
CREATE TABLE sign_in_round (
    browser_hash bytea PRIMARY KEY,     -- SHA-256 of the cookie that this browser got
    state        text NOT NULL,
    nonce        text NOT NULL,
    verifier     text NOT NULL,         -- PKCE
    next         text NOT NULL,
    begun_at     timestamptz NOT NULL DEFAULT now()
);

-- Whose login name this is.
CREATE FUNCTION account_of_login(in_login text) RETURNS TABLE (tenant_id uuid, id uuid) LANGUAGE sql STABLE AS $$
    SELECT a.tenant_id, a.id FROM account AS a WHERE a.login = in_login
$$;
SELECT sees_all_tenants('account_of_login(text)');

-- Whose subject at an identity provider this is.
CREATE FUNCTION account_of_subject(in_issuer text, in_subject text) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql STABLE AS $$
    SELECT a.tenant_id, a.id FROM account AS a WHERE a.issuer = in_issuer AND a.subject = in_subject
$$;
SELECT sees_all_tenants('account_of_subject(text, text)');

-- Whether anybody has an account at all.
CREATE FUNCTION accounts_exist() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM account AS a WHERE a.disabled_at IS NULL)
$$;
SELECT sees_all_tenants('accounts_exist()');

-- Whose cookie this is, if the session is not over by the clock of this database and the account is not disabled.
-- `stale`: its last use was noted longer ago than so many seconds.
CREATE FUNCTION session_of(in_hash bytea, idle_s float8, absolute_s float8, noted_s float8) RETURNS TABLE (
    tenant_id uuid, id uuid, account_id uuid, name text, person text, roles text[], complete boolean, stale boolean
) LANGUAGE sql STABLE AS $$
    SELECT s.tenant_id, s.id, s.account_id, a.name, a.person, a.roles, s.complete,
           s.used_at < clock_timestamp() - make_interval(secs => noted_s)
    FROM session AS s
    JOIN account AS a ON a.tenant_id = s.tenant_id AND a.id = s.account_id
    WHERE s.id_hash = in_hash AND a.disabled_at IS NULL
      AND s.used_at > clock_timestamp() - make_interval(secs => idle_s)
      AND s.begun_at > clock_timestamp() - make_interval(secs => absolute_s)
$$;
SELECT sees_all_tenants('session_of(bytea, float8, float8, float8)');

-- Forget sessions that are over.
CREATE FUNCTION forget_sessions(idle_s float8, absolute_s float8) RETURNS void LANGUAGE sql VOLATILE AS $$
    DELETE FROM session AS s
    WHERE s.used_at < clock_timestamp() - make_interval(secs => idle_s)
       OR s.begun_at < clock_timestamp() - make_interval(secs => absolute_s)
$$;
SELECT sees_all_tenants('forget_sessions(float8, float8)');
