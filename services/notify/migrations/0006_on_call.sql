-- Who is told, as the tenant's lead clinicians say it. Each save is a version; none is ever changed.
CREATE TABLE on_call_document (
    tenant_id uuid NOT NULL,
    version   integer NOT NULL CHECK (version > 0),
    text      text NOT NULL,            -- TOML, as it was saved
    sha256    text NOT NULL,
    saved_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    saved_by  text NOT NULL,
    -- also serves: the newest version of a tenant
    PRIMARY KEY (tenant_id, version)
);
CREATE FUNCTION refuse_change_on_call() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'on_call_document is append-only';
END $$;
CREATE TRIGGER on_call_document_append_only BEFORE UPDATE OR DELETE ON on_call_document
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_on_call();

-- What the last look 30 days ahead found in the newest document.
CREATE TABLE on_call_watch (
    tenant_id  uuid PRIMARY KEY,
    version    integer NOT NULL,
    looked_at  timestamptz NOT NULL,
    gap_hours  double precision NOT NULL,   -- hours within the next 30 days that some rota has nobody for
    flaws      integer NOT NULL,
    first_gap  timestamptz,                 -- when the first of them begins
    told_at    timestamptz                  -- when the fallback was last told of it
);

-- Tenants with an on-call document: where the daily look ahead looks.
CREATE FUNCTION tenants_on_call() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT DISTINCT d.tenant_id FROM on_call_document AS d
$$;
SELECT sees_all_tenants('tenants_on_call()');

-- Hours without anybody on call and number of flaws, the worst of all tenants, for /metrics.
CREATE FUNCTION on_call_gaps() RETURNS TABLE (gap_hours double precision, flaws bigint) LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(w.gap_hours), 0), coalesce(sum(w.flaws), 0) FROM on_call_watch AS w
$$;
SELECT sees_all_tenants('on_call_gaps()');

-- Alerts that wait although their chain has ended, of all tenants, for /metrics.
CREATE FUNCTION exhausted_alerts() RETURNS TABLE (urgency text, number bigint) LANGUAGE sql STABLE AS $$
    SELECT a.urgency, count(*) FROM alert AS a
    WHERE a.state IN ('requested', 'received', 'on-hold') AND a.exhausted_at IS NOT NULL GROUP BY a.urgency
$$;
SELECT sees_all_tenants('exhausted_alerts()');

-- A message may wait for the end of somebody's quiet hours.
ALTER TABLE delivery ADD COLUMN held_until timestamptz;

-- reconciler: open alerts without a due time
CREATE INDEX alert_without_due ON alert (tenant_id) WHERE state IN ('requested', 'received', 'on-hold') AND due_at IS NULL;
-- reconciler: open alerts of a policy whose chain has not ended
CREATE INDEX alert_in_chain ON alert (tenant_id, policy, policy_version, urgency, position)
    WHERE state IN ('requested', 'received') AND exhausted_at IS NULL AND policy IS NOT NULL;
-- metrics: open alerts whose chain has ended
CREATE INDEX alert_exhausted ON alert (urgency)
    WHERE state IN ('requested', 'received', 'on-hold') AND exhausted_at IS NOT NULL;
