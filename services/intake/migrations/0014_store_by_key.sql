-- The same functions, which find a version by its id whatever was planned while there was little: `BETWEEN x AND x` in the
-- order of x says the same as `= x`, and only the indexes by id are in this order (shared/0018). Another one also has the id
-- in it, and an update of one response read it from end to end as long as nobody had analysed the table. What is replaced is
-- locked where it is found, then changed in its place. And neither is a table read whole nor what another index gives put in
-- order, which the planner, who plans once for each connection, takes for cheap while there are few rows or many were
-- deleted (also in what is called here).
CREATE OR REPLACE FUNCTION store_response(
    in_tenant uuid, in_id text, in_expected integer, in_body bytea, in_sha256 bytea,
    in_system text, in_value text, in_rows jsonb, in_content bytea, in_client text, in_key text, in_queue text
) RETURNS TABLE (outcome text, of_id text, of_version integer, of_time timestamptz, twin text)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
    used  idempotency_key%ROWTYPE;
    taken text;
BEGIN
    PERFORM set_config('sural.tenant', in_tenant::text, true);

    IF in_key IS NOT NULL THEN
        DELETE FROM idempotency_key AS k
        WHERE k.tenant_id = in_tenant AND k.client = in_client AND k.key = in_key
          AND k.used_at < clock_timestamp() - interval '24 hours';
        INSERT INTO idempotency_key AS k (tenant_id, client, key, sha256, id, version_id)
        VALUES (in_tenant, in_client, in_key, in_sha256, in_id, coalesce(in_expected, 0) + 1) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            SELECT * INTO used FROM idempotency_key AS k
            WHERE k.tenant_id = in_tenant AND k.client = in_client AND k.key = in_key;
            outcome := CASE WHEN used.sha256 = in_sha256 THEN 'repeated' ELSE 'key-reused' END;
            SELECT used.id, used.version_id, r.last_updated INTO of_id, of_version, of_time FROM resource AS r
            WHERE r.tenant_id = in_tenant AND r.type = 'QuestionnaireResponse' AND r.id BETWEEN used.id AND used.id
              AND r.version_id BETWEEN used.version_id AND used.version_id
            ORDER BY r.id, r.version_id LIMIT 1;
            RETURN NEXT;
            RETURN;
        END IF;
    END IF;

    outcome := store_response_version(
        in_tenant, in_id, in_expected, in_body, in_sha256, in_system, in_value);
    IF outcome IN ('created', 'updated') THEN
        of_id := in_id;
        of_version := coalesce(in_expected, 0) + 1;
        SELECT r.last_updated INTO of_time FROM resource AS r
        WHERE r.tenant_id = in_tenant AND r.type = 'QuestionnaireResponse' AND r.id BETWEEN in_id AND in_id
          AND r.version_id BETWEEN of_version AND of_version
        ORDER BY r.id, r.version_id LIMIT 1;
        PERFORM index_resource(in_tenant, 'QuestionnaireResponse', in_id, in_rows, outcome = 'updated');
        IF in_content IS NOT NULL THEN
            INSERT INTO recent_content AS c (tenant_id, content, id) VALUES (in_tenant, in_content, in_id)
            ON CONFLICT (tenant_id, content) DO UPDATE SET
                id = CASE WHEN c.seen_at < clock_timestamp() - interval '10 minutes' THEN excluded.id ELSE c.id END,
                seen_at = CASE WHEN c.seen_at < clock_timestamp() - interval '10 minutes' THEN excluded.seen_at
                               ELSE c.seen_at END
            RETURNING c.id INTO taken;
            twin := nullif(taken, in_id);
        END IF;
        INSERT INTO outbox (tenant_id, queue, ref_id, ref_version) VALUES (in_tenant, in_queue, of_id, of_version);
        RETURN NEXT;
        RETURN;
    END IF;

    DELETE FROM idempotency_key AS k WHERE k.tenant_id = in_tenant AND k.client = in_client AND k.key = in_key;
    IF outcome = 'identified' THEN
        SELECT k.id INTO taken FROM response_key AS k
        WHERE k.tenant_id = in_tenant AND k.system = in_system AND k.value = in_value;
    ELSE
        taken := in_id;
    END IF;
    SELECT r.id, r.version_id, r.last_updated INTO of_id, of_version, of_time FROM resource AS r
    WHERE r.tenant_id = in_tenant AND r.type = 'QuestionnaireResponse' AND r.id BETWEEN taken AND taken AND r.is_current
    ORDER BY r.id LIMIT 1;
    RETURN NEXT;
END
$$;

-- The part of store_response that writes the version itself; called by nothing else.
CREATE OR REPLACE FUNCTION store_response_version(
    in_tenant uuid, in_id text, in_expected integer, in_body bytea, in_sha256 bytea,
    in_system text, in_value text
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    known    resource%ROWTYPE;
    owner    text := in_id;
    reserved boolean := false;
    place    tid;
BEGIN
    SELECT * INTO known FROM resource AS r
    WHERE r.tenant_id = in_tenant AND r.type = 'QuestionnaireResponse' AND r.id BETWEEN in_id AND in_id AND r.is_current
    ORDER BY r.id LIMIT 1;
    IF FOUND AND known.sha256 = in_sha256 THEN
        RETURN 'unchanged';
    ELSIF FOUND AND in_expected IS NULL THEN
        RETURN 'exists';
    ELSIF NOT FOUND AND in_expected IS NOT NULL THEN
        RETURN 'missing';
    ELSIF in_expected IS NOT NULL THEN
        SELECT r.ctid INTO place FROM resource AS r
        WHERE r.tenant_id = in_tenant AND r.type = 'QuestionnaireResponse' AND r.id BETWEEN in_id AND in_id
          AND r.version_id = in_expected AND r.is_current
        ORDER BY r.id LIMIT 1 FOR UPDATE;
        UPDATE resource AS r SET is_current = false WHERE r.ctid = place RETURNING r.ctid INTO place;
        IF NOT FOUND THEN
            SELECT * INTO known FROM resource AS r
            WHERE r.tenant_id = in_tenant AND r.type = 'QuestionnaireResponse' AND r.id BETWEEN in_id AND in_id
              AND r.is_current
            ORDER BY r.id LIMIT 1;
            RETURN CASE WHEN known.sha256 = in_sha256 THEN 'unchanged' ELSE 'stale' END;
        END IF;
    END IF;

    IF in_value IS NOT NULL THEN
        INSERT INTO response_key AS k (tenant_id, system, value, id) VALUES (in_tenant, in_system, in_value, in_id)
        ON CONFLICT DO NOTHING;
        reserved := FOUND;
        IF NOT reserved THEN
            SELECT k.id INTO owner FROM response_key AS k
            WHERE k.tenant_id = in_tenant AND k.system = in_system AND k.value = in_value;
        END IF;
        IF owner <> in_id THEN
            UPDATE resource AS r SET is_current = true WHERE r.ctid = place;
            RETURN 'identified';
        END IF;
    END IF;

    INSERT INTO resource (tenant_id, type, id, version_id, last_updated, body, sha256)
    VALUES (in_tenant, 'QuestionnaireResponse', in_id, coalesce(in_expected, 0) + 1,
            greatest(date_trunc('milliseconds', clock_timestamp()), known.last_updated + interval '1 millisecond'),
            in_body, in_sha256)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN   -- another made the same id at this moment
        DELETE FROM response_key AS k
        WHERE reserved AND k.tenant_id = in_tenant AND k.system = in_system AND k.value = in_value;
        SELECT * INTO known FROM resource AS r
        WHERE r.tenant_id = in_tenant AND r.type = 'QuestionnaireResponse' AND r.id BETWEEN in_id AND in_id AND r.is_current
        ORDER BY r.id LIMIT 1;
        RETURN CASE WHEN known.sha256 = in_sha256 THEN 'unchanged' ELSE 'exists' END;
    END IF;

    RETURN CASE WHEN in_expected IS NULL THEN 'created' ELSE 'updated' END;
END
$$;
