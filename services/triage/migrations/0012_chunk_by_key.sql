-- What a chunk reads is asked in statements again: the plans of the function were made while there was hardly anything in the
-- tables, read them whole, and were kept until somebody analysed them.
DROP FUNCTION open_chunk(uuid, text[], text[], text[], text[], text[], integer);
DROP FUNCTION urgencies_before(uuid, text, text, text, integer);

-- Each job is asked for by its key, which has one index only: joined with a list, all jobs were read for the same reason.
CREATE OR REPLACE FUNCTION store_assessments(
    in_tenant uuid, in_outcomes jsonb, in_new jsonb, in_bodies bytea[], in_digests bytea[], in_acts jsonb, in_claims jsonb
) RETURNS text LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    ours   record;
    number integer;
BEGIN
    FOR ours IN
        SELECT * FROM jsonb_to_recordset(in_claims) AS claim (kind text, id text, version integer, token uuid)
    LOOP
        UPDATE job AS j SET state = 'done', finished_at = now(), lease_token = NULL, lease_until = NULL
        WHERE j.tenant_id = in_tenant AND j.kind = ours.kind AND j.ref_id = ours.id AND j.ref_version = ours.version
          AND j.state = 'running' AND j.lease_token = ours.token;
        IF NOT FOUND THEN
            RETURN 'lease lost';
        END IF;
    END LOOP;

    INSERT INTO assessment AS held (tenant_id, id, response_id, response_version, pack, pack_version, pack_sha256,
                                    version_id, urgency, assessed_at)
    SELECT in_tenant, new.* FROM jsonb_to_recordset(in_outcomes) AS new (
        id text, response_id text, response_version integer, pack text, pack_version text, pack_sha256 text,
        version_id integer, urgency text, assessed_at timestamptz)
    ON CONFLICT (tenant_id, id) DO UPDATE
    SET response_version = excluded.response_version, pack_version = excluded.pack_version,
        pack_sha256 = excluded.pack_sha256, version_id = excluded.version_id, urgency = excluded.urgency,
        assessed_at = excluded.assessed_at
    WHERE held.response_version < excluded.response_version AND held.version_id = excluded.version_id - 1;
    GET DIAGNOSTICS number = ROW_COUNT;
    IF number < jsonb_array_length(in_outcomes) THEN
        RETURN 'overtaken';
    END IF;

    INSERT INTO assessment_run (tenant_id, response_id, response_version, pack, pack_version, subject, urgency, withdrawn,
                                by_clinician, ran_at)
    SELECT in_tenant, new.*, clock_timestamp() FROM jsonb_to_recordset(in_outcomes) AS new (
        response_id text, response_version integer, pack text, pack_version text, subject text, own_urgency text,
        withdrawn boolean, by_clinician boolean);
    PERFORM save_resources(in_tenant, in_new, in_bodies, in_digests);
    PERFORM record_audit(in_tenant, audit_interaction, audit_word, audit_outcome, audit_agent, audit_address, audit_type,
                         audit_id, audit_version, audit_patient, audit_query, audit_request)
    FROM jsonb_to_recordset(in_acts) AS act (
        audit_interaction text, audit_word text, audit_outcome text, audit_agent text, audit_address text, audit_type text,
        audit_id text, audit_version integer, audit_patient text, audit_query text, audit_request text);
    INSERT INTO outbox (tenant_id, queue, ref_id, ref_version)
    SELECT in_tenant, new.queue, new.id, new.version_id
    FROM jsonb_to_recordset(in_outcomes) AS new (queue text, id text, version_id integer)
    WHERE new.queue IS NOT NULL ORDER BY new.queue DESC;    -- notify.urgent before notify.routine
    RETURN 'stored';
END
$$;
