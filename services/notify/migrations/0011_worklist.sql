-- The worklist reads one page of alerts at a time, and hears when something changed.

-- worklist: what waits for somebody, most urgent and oldest first; counts of it
CREATE INDEX alert_waiting ON alert (tenant_id, (urgency <> 'emergency'), opened_at, id)
    WHERE state IN ('requested', 'received') AND NOT synthetic;
-- worklist: what is snoozed, first what comes back first
CREATE INDEX alert_snoozed ON alert (tenant_id, snoozed_until, id) WHERE state = 'on-hold' AND NOT synthetic;
-- worklist: what somebody has, newest first; handover: oldest first
CREATE INDEX alert_held ON alert (tenant_id, acknowledged_at, id)
    WHERE state IN ('accepted', 'in-progress') AND NOT synthetic;
-- worklist: closed lately, newest first
CREATE INDEX alert_closed ON alert (tenant_id, closed_at, id) WHERE closed_at IS NOT NULL AND NOT synthetic;
-- it served the worklist as it was
DROP INDEX alert_withdrawn;

-- worklist: the newest change of a tenant
CREATE INDEX alert_event_tenant ON alert_event (tenant_id, id);
-- worklist: the alerts that a person was told of
CREATE INDEX delivery_person ON delivery (tenant_id, person) WHERE person IS NOT NULL;
-- handover: what people did lately
CREATE INDEX alert_event_person ON alert_event (tenant_id, at) WHERE person IS NOT NULL;

-- Whether an alert is what somebody looks for. NULL: any; in_mine: those that this person has, or was told of (in_told)
-- while nobody has them; in_words: patterns for LIKE, each of which must be met by what the alert is called. Without a
-- subquery, so that it becomes a part of the query that calls it.
CREATE FUNCTION worklist_matches(
    a alert, in_urgency text, in_pathway text, in_team text, in_mine boolean, in_person text, in_name text,
    in_told uuid[], in_words text[]
) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT (in_urgency IS NULL OR a.urgency = in_urgency)
       AND (in_pathway IS NULL OR a.pathway = in_pathway)
       AND (in_team IS NULL OR a.team = in_team)
       AND (NOT in_mine OR a.owner = in_person OR (a.owner IS NULL AND a.acknowledged_by = in_name)
            OR (a.acknowledged_at IS NULL AND a.id = ANY (in_told)))
       AND (in_words IS NULL OR lower(concat_ws(' ', a.subject ->> 'display', a.subject #>> '{identifier,value}',
                a.subject ->> 'reference', right(replace(a.id::text, '-', ''), 8))) LIKE ALL (in_words))
$$;

-- Changes of all tenants after a number of the ledger: whose, and which. Numbers may become visible out of order.
CREATE FUNCTION alert_changes(after bigint) RETURNS TABLE (tenant_id uuid, id bigint) LANGUAGE sql STABLE AS $$
    SELECT e.tenant_id, e.id FROM alert_event AS e WHERE e.id > after ORDER BY e.id LIMIT 20000
$$;
SELECT sees_all_tenants('alert_changes(bigint)');

-- The newest number of the ledger, of whatever tenant.
CREATE FUNCTION newest_alert_change() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(e.id), 0) FROM alert_event AS e
$$;
SELECT sees_all_tenants('newest_alert_change()');
