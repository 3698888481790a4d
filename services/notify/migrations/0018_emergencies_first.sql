-- After an outage many alerts are overdue at once: emergencies do not wait behind the others.
CREATE OR REPLACE FUNCTION due_alerts(most integer) RETURNS TABLE (tenant_id uuid, id uuid) LANGUAGE sql VOLATILE AS $$
    SELECT a.tenant_id, a.id FROM alert AS a WHERE a.due_at <= now()
    ORDER BY a.urgency <> 'emergency', a.due_at LIMIT most
$$;
SELECT sees_all_tenants('due_alerts(integer)');
-- what the escalation tick takes next
DROP INDEX alert_due;
CREATE INDEX alert_due ON alert ((urgency <> 'emergency'), due_at) WHERE due_at IS NOT NULL;
