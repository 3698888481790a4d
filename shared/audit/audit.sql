-- Named queries of shared/audit, run in the schema of whichever service uses them.

-- name: record
SELECT record_audit(%(tenant)s, %(audit_interaction)s, %(audit_word)s, %(audit_outcome)s, %(audit_agent)s,
                    %(audit_address)s, %(audit_type)s, %(audit_id)s, %(audit_version)s, %(audit_patient)s,
                    %(audit_query)s, %(audit_request)s)

-- name: find
-- One page, newest first. Each filter is off when it is NULL. Planned with its values each time: a plan for any value
-- could use no index but that of the time.
SELECT number, recorded, interaction, word, outcome, agent, address, type, ref_id, ref_version, patient, query, request
FROM audit_event
WHERE tenant_id = %(tenant)s
  AND (%(before)s::timestamptz IS NULL OR (recorded, number) < (%(before)s, %(before_number)s))
  AND (%(since)s::timestamptz IS NULL OR recorded >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR recorded < %(until)s)
  AND (%(patient)s::text IS NULL OR patient = %(patient)s)
  AND (%(ref_type)s::text IS NULL OR type = %(ref_type)s)
  AND (%(ref_id)s::text IS NULL OR ref_id = %(ref_id)s)
  AND (%(interactions)s::text[] IS NULL OR interaction = ANY (%(interactions)s) OR word = ANY (%(interactions)s))
  AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
ORDER BY recorded DESC, number DESC LIMIT %(limit)s

-- name: read
SELECT number, recorded, interaction, word, outcome, agent, address, type, ref_id, ref_version, patient, query, request
FROM audit_event WHERE tenant_id = ANY (%(tenants)s) AND recorded = %(recorded)s AND number = %(number)s

-- name: tenants_unsealed
SELECT tenants_unsealed() AS tenant

-- name: tenants_audited
SELECT tenants_audited() AS tenant

-- name: seal
SELECT seal_audit(%(tenant)s, %(most)s) AS number

-- name: seals
SELECT position, numbers, digests, hash FROM audit_seal
WHERE tenant_id = %(tenant)s AND position > %(after)s ORDER BY position LIMIT %(limit)s

-- name: events_of_seal
SELECT tenant_id, number, recorded, interaction, word, outcome, agent, address, type, ref_id, ref_version, patient,
       query, request
FROM audit_event WHERE tenant_id = %(tenant)s AND number = ANY (%(numbers)s)

-- name: never_sealed
-- Events older than a minute that no seal holds.
SELECT number FROM audit_event WHERE tenant_id = %(tenant)s AND recorded < now() - interval '1 minute'
EXCEPT SELECT unnest(numbers) FROM audit_seal WHERE tenant_id = %(tenant)s
ORDER BY number LIMIT 100
