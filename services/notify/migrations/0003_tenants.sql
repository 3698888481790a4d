-- An alert, its assessments, deliveries and ledger belong to one tenant.
ALTER TABLE alert ADD CONSTRAINT alert_of_tenant UNIQUE (tenant_id, id);
ALTER TABLE alert_assessment
    DROP CONSTRAINT alert_assessment_alert_id_fkey,
    ADD CONSTRAINT alert_assessment_of_alert FOREIGN KEY (tenant_id, alert_id) REFERENCES alert (tenant_id, id);
ALTER TABLE delivery
    DROP CONSTRAINT delivery_alert_id_fkey,
    ADD CONSTRAINT delivery_of_alert FOREIGN KEY (tenant_id, alert_id) REFERENCES alert (tenant_id, id);
ALTER TABLE alert_event
    DROP CONSTRAINT alert_event_alert_id_fkey,
    ADD CONSTRAINT alert_event_of_alert FOREIGN KEY (tenant_id, alert_id) REFERENCES alert (tenant_id, id);

-- Which alert must be told again by the clock of this database: tenant and id of those that wait longest.
CREATE FUNCTION due_alerts(most integer) RETURNS TABLE (tenant_id uuid, id uuid) LANGUAGE sql VOLATILE AS $$
    SELECT a.tenant_id, a.id FROM alert AS a WHERE a.due_at <= now() ORDER BY a.due_at LIMIT most
$$;
SELECT sees_all_tenants('due_alerts(integer)');

-- Tenants with alerts that nobody acknowledged or messages that nobody has had: where the reconciler looks.
CREATE FUNCTION tenants_waiting() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT a.tenant_id FROM alert AS a WHERE a.state IN ('requested', 'received')
    UNION
    SELECT d.tenant_id FROM delivery AS d WHERE d.state = 'pending'
$$;
SELECT sees_all_tenants('tenants_waiting()');

-- Counts and ages of all tenants together, for /metrics.
CREATE FUNCTION open_alerts() RETURNS TABLE (
    urgency text, state text, number bigint, oldest_s double precision, overdue_s double precision
) LANGUAGE sql STABLE AS $$
    SELECT a.urgency, a.state, count(*), extract(epoch FROM now() - min(a.opened_at))::float8,
           greatest(coalesce(extract(epoch FROM now() - min(a.due_at)), 0), 0)::float8
    FROM alert AS a WHERE a.state IN ('requested', 'received') GROUP BY a.urgency, a.state
$$;
SELECT sees_all_tenants('open_alerts()');

CREATE FUNCTION deliveries_of_a_day() RETURNS TABLE (channel text, state text, number bigint) LANGUAGE sql STABLE AS $$
    SELECT d.channel, d.state, count(*) FROM delivery AS d
    WHERE d.created_at > now() - interval '24 hours' GROUP BY d.channel, d.state
$$;
SELECT sees_all_tenants('deliveries_of_a_day()');
