-- What was published before there was a tenant for it.
UPDATE canonical SET tenant_id = published_tenant();

-- How many assessments there are of each urgency, of all tenants together: counts and nothing else, for /metrics.
CREATE FUNCTION assessments_by_urgency() RETURNS TABLE (urgency text, number bigint) LANGUAGE sql STABLE AS $$
    SELECT coalesce(a.urgency, 'none'), count(*) FROM assessment AS a GROUP BY 1 ORDER BY 1
$$;
SELECT sees_all_tenants('assessments_by_urgency()');
