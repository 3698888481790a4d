-- The newest number of the ledger, of whatever tenant, that was written so many seconds ago: those after it may still have
-- lower ones among them that become visible later. newest_alert_change() stays for processes of the version before.
CREATE FUNCTION settled_alert_change(late_s double precision) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT e.id FROM alert_event AS e
                     WHERE e.at < now() - make_interval(secs => late_s) ORDER BY e.id DESC LIMIT 1), 0)
$$;
SELECT sees_all_tenants('settled_alert_change(double precision)');
