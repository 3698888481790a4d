-- A system that wants to hear of events (R4 Subscription, rest-hook). Its Subscription (same id) is in `resource`; what
-- is here is how far it has come, and what is never given out: the values of its headers.
CREATE TABLE subscription (
    tenant_id       uuid NOT NULL,
    id              uuid NOT NULL,
    client          text NOT NULL,      -- who made it, and alone sees it
    state           text NOT NULL CHECK (state IN ('requested', 'active', 'error', 'off', 'deleted')),
    version         integer NOT NULL,   -- of the Subscription in `resource`
    topic           text NOT NULL,
    filters         jsonb NOT NULL,     -- [[parameter, [value, ...]], ...]: every one must hold
    endpoint        text NOT NULL,
    headers         text[] NOT NULL,    -- "Name: value", as they are sent
    content         text NOT NULL CHECK (content IN ('empty', 'id-only', 'full-resource')),
    heartbeat_s     integer,
    timeout_s       integer NOT NULL,
    max_count       integer NOT NULL,
    created_at      timestamptz NOT NULL,
    ends_at         timestamptz,
    events          bigint NOT NULL DEFAULT 0,  -- number of the newest event; they are counted from 1 without a gap
    sent            bigint NOT NULL DEFAULT 0,  -- number of the newest event that was taken, and all before it
    attempts        integer NOT NULL DEFAULT 0, -- since something was taken last
    failing_since   timestamptz,
    answer          text,               -- class of the last failure, never what was answered
    last_contact_at timestamptz,
    errored_at      timestamptz,
    due_at          timestamptz,        -- when something is to be done next, judged by the clock of this database
    lease_token     uuid,               -- whoever sends holds it; only with it may the outcome be recorded
    lease_until     timestamptz,
    PRIMARY KEY (tenant_id, id)
);
-- what a sender takes next
CREATE INDEX subscription_due ON subscription (due_at) WHERE due_at IS NOT NULL;
-- who listens to a topic
CREATE INDEX subscription_topic ON subscription (tenant_id, topic) WHERE state IN ('requested', 'active', 'error');

-- What happened, once for each version of a resource; written in the transaction of the event itself, and kept after
-- everybody who listens was given it, so that the same event cannot be noted again.
CREATE TABLE topic_event (
    tenant_id   uuid NOT NULL,
    topic       text NOT NULL,
    ref_id      text COLLATE "C" NOT NULL,
    ref_version integer NOT NULL,
    at          timestamptz NOT NULL,
    done_at     timestamptz,            -- when it was given to everybody who listens
    PRIMARY KEY (tenant_id, topic, ref_id, ref_version)
);
-- what is to be given out next
CREATE INDEX topic_event_waiting ON topic_event (tenant_id, topic, at, ref_version) WHERE done_at IS NULL;
-- pruning
CREATE INDEX topic_event_done ON topic_event (done_at) WHERE done_at IS NOT NULL;

-- The events of one subscription, numbered.
CREATE TABLE subscription_event (
    tenant_id       uuid NOT NULL,
    subscription_id uuid NOT NULL,
    number          bigint NOT NULL CHECK (number >= 1),
    ref_id          text COLLATE "C" NOT NULL,
    ref_version     integer NOT NULL,
    at              timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, subscription_id, number),
    -- no event is numbered twice
    UNIQUE (tenant_id, subscription_id, ref_id, ref_version),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES subscription (tenant_id, id)
);
-- pruning
CREATE INDEX subscription_event_at ON subscription_event (at);

-- Every version of a Task is an event, whoever writes it: a part of notify that is added later cannot forget it.
CREATE FUNCTION note_task_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO topic_event (tenant_id, topic, ref_id, ref_version, at)
    SELECT NEW.tenant_id, 'alert', NEW.id, NEW.version_id, NEW.last_updated
    WHERE EXISTS (SELECT FROM subscription AS s
                  WHERE s.tenant_id = NEW.tenant_id AND s.topic = 'alert' AND s.state IN ('requested', 'active', 'error'));
    RETURN NULL;
END $$;
CREATE TRIGGER note_task_event AFTER INSERT ON resource FOR EACH ROW WHEN (NEW.type = 'Task')
    EXECUTE FUNCTION note_task_event();

-- Tenants with events that were not given out yet.
CREATE FUNCTION tenants_with_events() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT DISTINCT e.tenant_id FROM topic_event AS e WHERE e.done_at IS NULL
$$;
SELECT sees_all_tenants('tenants_with_events()');

-- Subscriptions with something to do that nobody does, longest due first: those that failed lately, or all others.
CREATE FUNCTION due_subscriptions(failing boolean, most integer) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql VOLATILE AS $$
    SELECT s.tenant_id, s.id FROM subscription AS s
    WHERE s.due_at <= now() AND (s.lease_until IS NULL OR s.lease_until < now()) AND (s.attempts > 0) = failing
    ORDER BY s.due_at LIMIT most
$$;
SELECT sees_all_tenants('due_subscriptions(boolean, integer)');

-- Forget what was given out more than eight days ago (a catch-up looks back 25 hours), and, after thirty days, events of
-- subscriptions that took them, or that are off or deleted.
CREATE FUNCTION forget_events(most integer) RETURNS void LANGUAGE sql VOLATILE AS $$
    DELETE FROM topic_event AS e WHERE e.ctid IN (
        SELECT o.ctid FROM topic_event AS o WHERE o.done_at < now() - interval '8 days' LIMIT most);
    DELETE FROM subscription_event AS e WHERE e.ctid IN (
        SELECT o.ctid FROM subscription_event AS o
        JOIN subscription AS s ON s.tenant_id = o.tenant_id AND s.id = o.subscription_id
        WHERE o.at < now() - interval '30 days' AND (o.number <= s.sent OR s.state IN ('off', 'deleted')) LIMIT most)
$$;
SELECT sees_all_tenants('forget_events(integer)');

-- Counts and ages of all tenants together, for /metrics.
CREATE FUNCTION count_subscriptions() RETURNS TABLE (state text, number bigint, waiting numeric, failing_s double precision)
LANGUAGE sql STABLE AS $$
    SELECT s.state, count(*), coalesce(sum(s.events - s.sent), 0),
           coalesce(extract(epoch FROM now() - min(s.failing_since)), 0)::float8
    FROM subscription AS s WHERE s.state <> 'deleted' GROUP BY s.state
$$;
SELECT sees_all_tenants('count_subscriptions()');
