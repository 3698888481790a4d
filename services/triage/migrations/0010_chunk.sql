-- What a chunk of responses costs the database, in two calls: what is read under the locks of its patients, and what comes
-- of it. (services/triage/together.py evaluates in between.) Their plans are made once for each connection: for one response
-- the planner thought a plan of its own cheaper, and made one each time, which took longer than all the rest. A plan that is
-- kept may have been made while the tables were empty, so every look-up is by its whole key, case for case, and never a
-- join: joined, all that the tenant has was read for one response.

-- Urgencies that evaluations of a patient or response had by their own answers in the last hours, from a clinician's own
-- answers on, and without responses that were entered in error. `BETWEEN x AND x` in the order of x says the same as `= x`,
-- and only the index that is in this order will do for it.
CREATE FUNCTION urgencies_before(in_tenant uuid, in_response text, in_subject text, in_pack text, in_hours integer)
RETURNS TABLE (urgency text) LANGUAGE sql STABLE AS $$
    WITH lately AS (
        (SELECT r.response_id, r.response_version, r.urgency, r.withdrawn, r.by_clinician, r.ran_at FROM assessment_run AS r
         WHERE r.tenant_id = in_tenant AND r.response_id BETWEEN in_response AND in_response AND r.pack = in_pack
           AND r.ran_at > now() - make_interval(hours => in_hours)
         ORDER BY r.response_id)
        UNION
        (SELECT r.response_id, r.response_version, r.urgency, r.withdrawn, r.by_clinician, r.ran_at FROM assessment_run AS r
         WHERE r.tenant_id = in_tenant AND r.subject BETWEEN in_subject AND in_subject AND r.pack = in_pack
           AND r.ran_at > now() - make_interval(hours => in_hours)
         ORDER BY r.subject, r.ran_at)),
    standing AS (
        SELECT l.urgency, l.by_clinician, l.ran_at FROM lately AS l
        WHERE NOT l.withdrawn AND NOT EXISTS (
            SELECT FROM lately AS later
            WHERE later.response_id = l.response_id AND later.withdrawn AND later.response_version > l.response_version))
    SELECT DISTINCT s.urgency FROM standing AS s
    WHERE s.urgency IS NOT NULL
      AND s.ran_at >= coalesce((SELECT max(c.ran_at) FROM standing AS c WHERE c.by_clinician), '-infinity')
$$;

-- Lock the patients (in_keys) that nobody else has locked, without waiting, and tell of each case whether it is free, which
-- assessment is current, and how urgent earlier ones were; and what time it is. The locks come first, each statement sees
-- what was committed before it: so nobody can write of a patient between what is read here and the end of the transaction.
CREATE FUNCTION open_chunk(
    in_tenant uuid, in_keys text[], in_ids text[], in_responses text[], in_subjects text[], in_packs text[], in_hours integer
) RETURNS TABLE (
    is_free boolean, version_id integer, response_version integer, pack_version text, status text, earlier text[],
    now timestamptz
) LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    free boolean[];
BEGIN
    free := ARRAY(
        SELECT pg_try_advisory_xact_lock(hashtextextended(asked.key, 0))
        FROM unnest(in_keys) WITH ORDINALITY AS asked (key, place) ORDER BY asked.place);
    RETURN QUERY
    SELECT asked.is_free, a.version_id, a.response_version, a.pack_version,
           (SELECT v.value FROM search_value AS v
            WHERE v.tenant_id = in_tenant AND v.type = 'RiskAssessment' AND v.id BETWEEN a.id AND a.id
              AND v.param = 'status' ORDER BY v.id LIMIT 1),
           ARRAY(SELECT before.urgency
                 FROM urgencies_before(in_tenant, asked.response, asked.subject, asked.pack, in_hours) AS before),
           clock_timestamp()
    FROM unnest(free, in_ids, in_responses, in_subjects, in_packs) WITH ORDINALITY
        AS asked (is_free, id, response, subject, pack, place)
    LEFT JOIN LATERAL (SELECT held.id, held.version_id, held.response_version, held.pack_version FROM assessment AS held
                       WHERE held.tenant_id = in_tenant AND held.id BETWEEN asked.id AND asked.id
                       ORDER BY held.id LIMIT 1) AS a ON true
    ORDER BY asked.place;
END
$$;

-- Store evaluations of different responses of one tenant: all of them, or none. in_outcomes: see store.py (_rows);
-- in_new, in_bodies, in_digests: as in save_resources; in_acts: the parameters of record_audit; in_claims: the jobs that end
-- with them, {"kind", "id", "version", "token"}. Returns 'stored'; or 'lease lost' where a job is not ours any more, or
-- 'overtaken' where another version of a response was evaluated meanwhile, and then the caller undoes what was written.
CREATE FUNCTION store_assessments(
    in_tenant uuid, in_outcomes jsonb, in_new jsonb, in_bodies bytea[], in_digests bytea[], in_acts jsonb, in_claims jsonb
) RETURNS text LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    number integer;
    ours   record;
BEGIN
    FOR ours IN SELECT * FROM jsonb_to_recordset(in_claims) AS claim (kind text, id text, version integer, token uuid)
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
