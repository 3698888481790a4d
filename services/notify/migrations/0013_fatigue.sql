-- Against fatigue: messages that a person was spared, the daily digest, and what is measured.

-- what somebody was told lately of what is not an emergency
CREATE INDEX delivery_lately ON delivery (tenant_id, created_at) WHERE urgency <> 'emergency';

-- Assessments that need nobody today: counted in the digest of the day.
CREATE TABLE quiet_assessment (
    tenant_id     uuid NOT NULL,
    assessment_id text COLLATE "C" NOT NULL,
    urgency       text NOT NULL CHECK (urgency IN ('within_2_weeks', 'routine', 'self_care')),
    noted_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, assessment_id)
);
-- digest: those since the last one; pruning
CREATE INDEX quiet_assessment_noted ON quiet_assessment (tenant_id, noted_at);

-- The digest of a day to one address: made once, by whoever inserts the row.
CREATE TABLE digest (
    tenant_id   uuid NOT NULL,
    recipient   text NOT NULL,
    day         date NOT NULL,              -- on the clock of the person's place
    id          uuid NOT NULL,              -- of the mail
    since       timestamptz NOT NULL,       -- what it counts: from then
    until       timestamptz NOT NULL,       -- until then
    due_at      timestamptz NOT NULL,       -- when it is tried (again)
    sent_at     timestamptz,
    answer      text,                       -- class of the mail server's last answer; nothing-to-say: no mail
    PRIMARY KEY (tenant_id, recipient, day)
);

-- Which red flags stand behind an alert: for measures, by rule.
CREATE TABLE alert_flag (
    tenant_id uuid NOT NULL,
    alert_id  uuid NOT NULL,
    flag      text NOT NULL,
    PRIMARY KEY (tenant_id, alert_id, flag),
    FOREIGN KEY (tenant_id, alert_id) REFERENCES alert (tenant_id, id)
);

-- Tenants that have alerts or assessments: those to which a digest may go.
CREATE FUNCTION tenants_with_news(since timestamptz) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT q.tenant_id FROM quiet_assessment AS q WHERE q.noted_at >= since
    UNION
    SELECT a.tenant_id FROM alert AS a WHERE a.state IN ('accepted', 'in-progress') AND NOT a.synthetic
    UNION
    SELECT d.tenant_id FROM delivery AS d
    WHERE d.urgency <> 'emergency' AND d.created_at >= since AND (d.state = 'suppressed' OR d.held_until IS NOT NULL)
$$;
SELECT sees_all_tenants('tenants_with_news(timestamptz)');

-- How it went with the alerts of the last thirty days, of all tenants together, by red flag or by team: for /metrics.
-- A team's name may be the same at two tenants: they are one line then.
CREATE FUNCTION measured_alerts(by_what text) RETURNS TABLE (
    name text, alerts bigint, p50_s double precision, p90_s double precision, closed bigint, overridden bigint
) LANGUAGE sql STABLE AS $$
    SELECT named.name, count(*),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM a.acknowledged_at - a.opened_at)::float8),
           percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM a.acknowledged_at - a.opened_at)::float8),
           count(*) FILTER (WHERE a.state IN ('completed', 'rejected')),
           count(*) FILTER (WHERE a.override_reason IS NOT NULL)
    FROM alert AS a
    JOIN LATERAL (
        SELECT f.flag AS name FROM alert_flag AS f
        WHERE by_what = 'flag' AND f.tenant_id = a.tenant_id AND f.alert_id = a.id
        UNION ALL
        SELECT coalesce(a.team, 'none') WHERE by_what = 'team') AS named ON true
    WHERE a.opened_at >= now() - interval '30 days' AND NOT a.synthetic
    GROUP BY named.name ORDER BY count(*) DESC, named.name LIMIT 200
$$;
SELECT sees_all_tenants('measured_alerts(text)');
-- measures: the alerts of the last thirty days
CREATE INDEX alert_opened ON alert (opened_at);

-- Feedback is never changed. Row by row, so that the watchdog's alerts, which nobody speaks of, can be forgotten (0014).
DROP TRIGGER feedback_append_only ON feedback;
CREATE TRIGGER feedback_append_only BEFORE UPDATE OR DELETE ON feedback
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_feedback();
