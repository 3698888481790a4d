-- The same functions without what searches no longer read: status, subject and identifiers stand in the rows of
-- search_value (shared/0005).
DROP FUNCTION store_response;
DROP FUNCTION store_response_version;

-- The one statement that stores a version of a response: resource, rows for searches, identifier and outbox row, or
-- what stands in the way. in_expected is the version that is to be replaced, NULL for a new resource. Writers of the
-- same key, id or version wait for each other, so that exactly one wins. Nothing is changed unless the outcome is
-- created or updated.
--
-- outcome     of_id, of_version name
-- created     the new resource (twin: the response that had the same answers, without identifier, a short time ago)
-- updated     the new version
-- unchanged   the current version, which has the same bytes
-- exists      the current version, where a new resource was to be made
-- stale       the current version, where another one was expected
-- missing     nothing, where a version was expected
-- identified  the response that the sender's identifier belongs to
-- repeated    what the same body with the same Idempotency-Key made before
-- key-reused  what another body with the same Idempotency-Key made before
CREATE FUNCTION store_response(
    in_tenant uuid, in_id text, in_expected integer, in_body bytea, in_sha256 bytea,
    in_system text, in_value text, in_rows jsonb, in_content bytea, in_client text, in_key text, in_queue text
) RETURNS TABLE (outcome text, of_id text, of_version integer, of_time timestamptz, twin text) LANGUAGE plpgsql AS $$
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
            WHERE r.tenant_id = in_tenant AND r.type = 'QuestionnaireResponse' AND r.id = used.id
              AND r.version_id = used.version_id;
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
        WHERE r.tenant_id = in_tenant AND r.type = 'QuestionnaireResponse' AND r.id = in_id AND r.is_current;
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
    WHERE r.tenant_id = in_tenant AND r.type = 'QuestionnaireResponse' AND r.id = taken AND r.is_current;
    RETURN NEXT;
END
$$;

-- The part of store_response that writes the version itself; called by nothing else.
CREATE FUNCTION store_response_version(
    in_tenant uuid, in_id text, in_expected integer, in_body bytea, in_sha256 bytea,
    in_system text, in_value text
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    known    resource%ROWTYPE;
    owner    text := in_id;
    reserved boolean := false;
BEGIN
    SELECT * INTO known FROM resource AS r
    WHERE r.tenant_id = in_tenant AND r.type = 'QuestionnaireResponse' AND r.id = in_id AND r.is_current;
    IF FOUND AND known.sha256 = in_sha256 THEN
        RETURN 'unchanged';
    ELSIF FOUND AND in_expected IS NULL THEN
        RETURN 'exists';
    ELSIF NOT FOUND AND in_expected IS NOT NULL THEN
        RETURN 'missing';
    ELSIF in_expected IS NOT NULL THEN
        UPDATE resource AS r SET is_current = false
        WHERE r.tenant_id = in_tenant AND r.type = 'QuestionnaireResponse' AND r.id = in_id
          AND r.version_id = in_expected AND r.is_current;
        IF NOT FOUND THEN
            SELECT * INTO known FROM resource AS r
            WHERE r.tenant_id = in_tenant AND r.type = 'QuestionnaireResponse' AND r.id = in_id AND r.is_current;
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
            UPDATE resource AS r SET is_current = true
            WHERE in_expected IS NOT NULL AND r.tenant_id = in_tenant AND r.type = 'QuestionnaireResponse'
              AND r.id = in_id AND r.version_id = in_expected;
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
        WHERE r.tenant_id = in_tenant AND r.type = 'QuestionnaireResponse' AND r.id = in_id AND r.is_current;
        RETURN CASE WHEN known.sha256 = in_sha256 THEN 'unchanged' ELSE 'exists' END;
    END IF;

    RETURN CASE WHEN in_expected IS NULL THEN 'created' ELSE 'updated' END;
END
$$;
