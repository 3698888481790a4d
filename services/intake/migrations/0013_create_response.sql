-- What nearly every write is, a new response under an id of ours without an Idempotency-Key, in as few steps as can be:
-- key of the sender's identifier, resource, rows for searches, outbox row and audit row. As store_response (0010) does it,
-- without the questions that such a response does not raise. Nothing is changed, and `of_time` is NULL, where the
-- identifier is known already: store_response then says whose it is. `twin`: as there.
CREATE FUNCTION create_response(
    in_tenant uuid, in_id text, in_body bytea, in_sha256 bytea, in_system text, in_value text, in_rows jsonb,
    in_content bytea, in_queue text, in_recorded boolean, in_agent text, in_address text, in_patient text, in_request text,
    OUT of_time timestamptz, OUT twin text
) LANGUAGE plpgsql AS $$
DECLARE
    said  text;
    taken text;
BEGIN
    said := set_config('sural.tenant', in_tenant::text, true);
    IF in_value IS NOT NULL THEN
        INSERT INTO response_key AS k (tenant_id, system, value, id) VALUES (in_tenant, in_system, in_value, in_id)
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    of_time := date_trunc('milliseconds', clock_timestamp());
    INSERT INTO resource (tenant_id, type, id, version_id, last_updated, body, sha256)
    VALUES (in_tenant, 'QuestionnaireResponse', in_id, 1, of_time, in_body, in_sha256);
    PERFORM index_resource(in_tenant, 'QuestionnaireResponse', in_id, in_rows, false);
    IF in_content IS NOT NULL THEN
        INSERT INTO recent_content AS c (tenant_id, content, id) VALUES (in_tenant, in_content, in_id)
        ON CONFLICT (tenant_id, content) DO UPDATE SET
            id = CASE WHEN c.seen_at < clock_timestamp() - interval '10 minutes' THEN excluded.id ELSE c.id END,
            seen_at = CASE WHEN c.seen_at < clock_timestamp() - interval '10 minutes' THEN excluded.seen_at
                           ELSE c.seen_at END
        RETURNING c.id INTO taken;
        twin := nullif(taken, in_id);
    END IF;
    INSERT INTO outbox (tenant_id, queue, ref_id, ref_version) VALUES (in_tenant, in_queue, in_id, 1);
    IF in_recorded THEN
        PERFORM record_audit(in_tenant, 'create', NULL, '0', in_agent, in_address, 'QuestionnaireResponse', in_id, 1,
                             in_patient, NULL, in_request);
    END IF;
END
$$;
