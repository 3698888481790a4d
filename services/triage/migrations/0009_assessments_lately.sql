-- Assessments of the last day by urgency, of all tenants together: counts and nothing else, for /metrics. Counting all that
-- there ever were took longer with each of them.
CREATE OR REPLACE FUNCTION assessments_by_urgency() RETURNS TABLE (urgency text, number bigint) LANGUAGE sql STABLE AS $$
    SELECT coalesce(a.urgency, 'none'), count(*) FROM assessment AS a
    WHERE a.assessed_at > now() - interval '24 hours' GROUP BY 1 ORDER BY 1
$$;
SELECT sees_all_tenants('assessments_by_urgency()');
-- assessments_by_urgency
CREATE INDEX assessment_lately ON assessment (assessed_at);
