-- How it went with the alerts of the last thirty days, of all tenants together, by red flag or by team: for /metrics. Of
-- more than twenty thousand the newest count, so that a busy month does not hold up every look at the figures.
-- A team's name may be the same at two tenants: they are one line then.
CREATE OR REPLACE FUNCTION measured_alerts(by_what text) RETURNS TABLE (
    name text, alerts bigint, p50_s double precision, p90_s double precision, closed bigint, overridden bigint
) LANGUAGE sql STABLE AS $$
    SELECT named.name, count(*),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM a.acknowledged_at - a.opened_at)::float8),
           percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM a.acknowledged_at - a.opened_at)::float8),
           count(*) FILTER (WHERE a.state IN ('completed', 'rejected')),
           count(*) FILTER (WHERE a.override_reason IS NOT NULL)
    FROM (SELECT * FROM alert AS lately
          WHERE lately.opened_at >= now() - interval '30 days' AND NOT lately.synthetic
          ORDER BY lately.opened_at DESC LIMIT 20000) AS a
    JOIN LATERAL (
        SELECT f.flag AS name FROM alert_flag AS f
        WHERE by_what = 'flag' AND f.tenant_id = a.tenant_id AND f.alert_id = a.id
        UNION ALL
        SELECT coalesce(a.team, 'none') WHERE by_what = 'team') AS named ON true
    GROUP BY named.name ORDER BY count(*) DESC, named.name LIMIT 200
$$;
SELECT sees_all_tenants('measured_alerts(text)');
