-- What was published before there was a tenant for it.
UPDATE questionnaire SET tenant_id = published_tenant();

-- Refused submissions of all tenants together: counts and ages and nothing else, for /metrics.
CREATE FUNCTION quarantine_of_a_day() RETURNS TABLE (state text, number bigint, oldest_s double precision)
LANGUAGE sql STABLE AS $$
    SELECT q.state, count(*), coalesce(extract(epoch FROM now() - min(q.received_at)), 0)::float8 FROM quarantine AS q
    WHERE q.state = 'waiting' OR q.received_at > now() - interval '24 hours' GROUP BY q.state
$$;
SELECT sees_all_tenants('quarantine_of_a_day()');

CREATE FUNCTION turned_away() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(t.number), 0)::bigint FROM quarantine_turned_away AS t
$$;
SELECT sees_all_tenants('turned_away()');
