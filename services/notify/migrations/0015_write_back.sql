-- Whose alerts are written to a FHIR server of their own; a row stands there while the settings name one.
CREATE TABLE write_back_target (
    tenant_id uuid PRIMARY KEY,
    since     timestamptz NOT NULL DEFAULT now()
);

-- How far one resource has come there. Only the newest version counts: what stood in between is in our history.
CREATE TABLE write_back (
    tenant_id     uuid NOT NULL,
    type          text NOT NULL CHECK (type IN ('Task', 'Communication')),
    id            text COLLATE "C" NOT NULL,
    wanted        integer NOT NULL,             -- the newest version here
    written       integer NOT NULL DEFAULT 0,   -- the newest version there
    attempts      integer NOT NULL DEFAULT 0,   -- since something was written last
    failing_since timestamptz,
    answer        text,                         -- class of the last failure, never what was answered
    due_at        timestamptz,                  -- when it is tried next; null: nothing to do, or given up
    lease_token   uuid,
    lease_until   timestamptz,
    PRIMARY KEY (tenant_id, type, id)
);
-- what is written next
CREATE INDEX write_back_due ON write_back (due_at) WHERE due_at IS NOT NULL;
-- metrics: what is behind
CREATE INDEX write_back_behind ON write_back (tenant_id) WHERE written < wanted;

-- Nothing is noted any more for any other tenant; null: for none.
CREATE FUNCTION write_back_for_nobody_but(wanted uuid) RETURNS void LANGUAGE sql VOLATILE AS $$
    DELETE FROM write_back_target AS t WHERE t.tenant_id IS DISTINCT FROM wanted
$$;
SELECT sees_all_tenants('write_back_for_nobody_but(uuid)');

-- Every version of a Task or Communication is to be written, whoever makes it: no part of notify can forget it.
CREATE FUNCTION note_write_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO write_back AS held (tenant_id, type, id, wanted, due_at)
    SELECT NEW.tenant_id, NEW.type, NEW.id, NEW.version_id, now()
    WHERE EXISTS (SELECT FROM write_back_target AS t WHERE t.tenant_id = NEW.tenant_id)
    ON CONFLICT (tenant_id, type, id) DO UPDATE
    SET wanted = greatest(held.wanted, excluded.wanted), due_at = coalesce(held.due_at, now());
    RETURN NULL;
END $$;
CREATE TRIGGER note_write_back AFTER INSERT ON resource FOR EACH ROW WHEN (NEW.type IN ('Task', 'Communication'))
    EXECUTE FUNCTION note_write_back();

-- What is to be written now and nobody writes, longest due first.
CREATE FUNCTION due_write_backs(most integer) RETURNS TABLE (tenant_id uuid, type text, id text)
LANGUAGE sql VOLATILE AS $$
    SELECT w.tenant_id, w.type, w.id FROM write_back AS w
    WHERE w.due_at <= now() AND (w.lease_until IS NULL OR w.lease_until < now())
    ORDER BY w.due_at LIMIT most
$$;
SELECT sees_all_tenants('due_write_backs(integer)');

-- What is behind, of all tenants together, for /metrics: how many, how many of them were given up, and since when.
CREATE FUNCTION write_backs_behind() RETURNS TABLE (number bigint, given_up bigint, failing_s double precision)
LANGUAGE sql STABLE AS $$
    SELECT count(*), count(*) FILTER (WHERE w.due_at IS NULL),
           coalesce(extract(epoch FROM now() - min(w.failing_since)), 0)::float8
    FROM write_back AS w WHERE w.written < w.wanted
$$;
SELECT sees_all_tenants('write_backs_behind()');
