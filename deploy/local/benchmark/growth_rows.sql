-- Named queries of growth_rows.py: rows of a system in use, made in the database itself. Run by the owner, who acts for
-- one tenant. Texts come as patterns for format(): %1$s response, %2$s patient, %3$s sender's form, %4$s assessment,
-- %5$s alert, %6$s time of the response.

-- name: begin
CREATE TEMP TABLE IF NOT EXISTS member (
    n bigint PRIMARY KEY, at timestamptz, instant text, response text COLLATE "C", patient text COLLATE "C",
    form text COLLATE "C", assessment text COLLATE "C", alert uuid, urgency text
)

-- name: forget
TRUNCATE member

-- name: members
-- Responses first to last of so many. Ids sort by time as ours do; each patient comes back every `patients` responses;
-- every tenth response alerts, half of these as emergencies.
INSERT INTO member
SELECT n, at, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       concat_ws('-', left(ms, 8), right(ms, 4), '7' || left(hash, 3), '8' || substr(hash, 4, 3), substr(hash, 7, 12)),
       'Patient/growth-' || n * 2654435761 %% %(patients)s, substr(hash, 19, 14), md5('assessment' || n)::uuid::text,
       CASE WHEN n %% 10 = 0 THEN md5('alert' || n)::uuid END,
       CASE n %% 20 WHEN 0 THEN 'emergency' WHEN 10 THEN 'same_day' WHEN 5 THEN 'within_2_weeks' ELSE 'routine' END
FROM (SELECT n, at, lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') AS ms, md5('response' || n) AS hash
      FROM (SELECT n, %(start)s::timestamptz + n * %(pace)s::interval AS at
            FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n) AS moment) AS made

-- name: resources
-- Current versions of one type, a row each; of_alerts: only of those that alerted.
INSERT INTO resource (tenant_id, type, id, version_id, is_current, last_updated, tag, body, sha256)
SELECT %(tenant)s, %(type)s, made.id, %(version)s, %(current)s, at + %(delay)s::interval,
       CASE WHEN %(tagged)s THEN urgency END, made.body, sha256(made.body)
FROM member CROSS JOIN LATERAL (
    SELECT format(%(id)s, response, patient, form, assessment, alert) AS id,
           convert_to(format(%(body)s, response, patient, form, assessment, alert, instant), 'UTF8') AS body) AS made
WHERE alert IS NOT NULL OR NOT %(of_alerts)s

-- name: values
INSERT INTO search_value (tenant_id, type, param, system, value, id)
SELECT %(tenant)s, %(type)s, %(param)s, %(system)s, format(%(value)s, response, patient, form, assessment, alert, instant),
       format(%(id)s, response, patient, form, assessment, alert)
FROM member WHERE alert IS NOT NULL OR NOT %(of_alerts)s
ON CONFLICT DO NOTHING

-- name: ranges
INSERT INTO search_range (tenant_id, type, param, low, high, id)
SELECT %(tenant)s, %(type)s, %(param)s, trunc(extract(epoch FROM at) * 1000) + %(low)s,
       trunc(extract(epoch FROM at) * 1000) + %(high)s, format(%(id)s, response, patient, form, assessment, alert)
FROM member WHERE alert IS NOT NULL OR NOT %(of_alerts)s

-- name: response_keys
INSERT INTO response_key (tenant_id, system, value, id) SELECT %(tenant)s, %(system)s, form, response FROM member

-- name: quarantine
-- One of a hundred submissions was refused and looked at.
INSERT INTO quarantine (tenant_id, id, received_at, refused_at, client, status, problems, state, examined_at, sha256)
SELECT %(tenant)s, md5('refused' || n)::uuid::text, at, at, 'growth', 422, '{required}', 'not_urgent', at, sha256(form::bytea)
FROM member WHERE n %% 100 = 1

-- name: audit
-- One act on each resource.
INSERT INTO audit_event (tenant_id, recorded, interaction, word, outcome, agent, address, type, ref_id, ref_version,
                         patient, request)
SELECT %(tenant)s, at, 'create', %(word)s, '0', %(agent)s, '192.0.2.7', %(type)s,
       format(%(id)s, response, patient, form, assessment, alert), 1, patient, md5('request' || n)::uuid::text
FROM member WHERE alert IS NOT NULL OR NOT %(of_alerts)s

-- name: seals
-- A thousand events to a seal. The digests are no real ones: nothing that is measured reads them.
INSERT INTO audit_seal (tenant_id, position, numbers, digests, hash)
SELECT %(tenant)s, row_number() OVER (ORDER BY min(number)), array_agg(number ORDER BY number),
       array_agg(sha256(number::text::bytea) ORDER BY number), sha256(min(number)::text::bytea)
FROM audit_event WHERE tenant_id = %(tenant)s GROUP BY number / 1000

-- name: assessments
INSERT INTO assessment (tenant_id, id, response_id, response_version, pack, pack_version, pack_sha256, version_id, urgency,
                        assessed_at)
SELECT %(tenant)s, assessment, response, 1, %(pack)s, '1.0.0', encode(sha256('pack'), 'hex'), 1, urgency, at FROM member

-- name: runs
INSERT INTO assessment_run (tenant_id, response_id, response_version, pack, pack_version, ran_at, subject, urgency)
SELECT %(tenant)s, response, 1, %(pack)s, '1.0.0', at, patient, urgency FROM member

-- name: jobs
-- Work of the last seven days that is done; older rows are pruned.
INSERT INTO job (tenant_id, kind, ref_id, ref_version, state, attempts, due_at, created_at, finished_at)
SELECT %(tenant)s, %(kind)s, format(%(id)s, response, patient, form, assessment, alert), 1, 'done', 1, at, at, at
FROM member WHERE at > now() - interval '7 days' AND (alert IS NOT NULL OR NOT %(of_alerts)s)

-- name: alerts
-- The newest twenty wait, eighty more are being looked after, the rest are closed.
INSERT INTO alert (id, tenant_id, subject_key, pathway, subject, state, urgency, first_step, step, task_version, opened_at,
                   due_at, acknowledged_at, acknowledged_by, closed_at, outcome)
SELECT alert, %(tenant)s, patient, %(pathway)s, jsonb_build_object('reference', patient), made.state, urgency, 1, 1, 3, at,
       CASE WHEN made.state = 'requested' THEN now() + interval '1 hour' END,
       CASE WHEN made.state <> 'requested' THEN at + interval '3 minutes' END,
       CASE WHEN made.state <> 'requested' THEN 'Dr Growth' END,
       CASE WHEN made.state = 'completed' THEN at + interval '2 hours' END,
       CASE WHEN made.state = 'completed' THEN 'seen' END
FROM member CROSS JOIN LATERAL (
    SELECT CASE WHEN n > %(count)s - 200 THEN 'requested' WHEN n > %(count)s - 1000 THEN 'accepted'
                ELSE 'completed' END AS state) AS made
WHERE alert IS NOT NULL

-- name: alert_assessments
INSERT INTO alert_assessment (tenant_id, assessment_id, assessment_version, alert_id, urgency, joined_at)
SELECT %(tenant)s, assessment, 1, alert, urgency, at FROM member WHERE alert IS NOT NULL

-- name: alert_flags
INSERT INTO alert_flag (tenant_id, alert_id, flag)
SELECT %(tenant)s, alert, 'RF-' || n %% 30 FROM member WHERE alert IS NOT NULL

-- name: deliveries
INSERT INTO delivery (id, tenant_id, alert_id, step, channel, recipient, urgency, state, attempts, created_at, sent_at,
                      person)
SELECT md5(channel || n)::uuid, %(tenant)s, alert, 1, channel, 'on-call-' || n / 10 %% 20 || '@example.org', urgency, 'sent',
       1, at, at + interval '1 second', 'person-' || n / 10 %% 20
FROM member CROSS JOIN unnest(ARRAY['email', 'webhook']) AS channel WHERE alert IS NOT NULL

-- name: alert_events
-- The ledger of each alert, in order.
INSERT INTO alert_event (tenant_id, alert_id, at, kind, person, step, delivery_id, way)
SELECT %(tenant)s, alert, at + line.later * interval '1 second', line.kind,
       CASE WHEN line.way IS NOT NULL THEN 'Dr Growth' END, 1,
       CASE WHEN line.kind = 'delivered' THEN md5('email' || n)::uuid END, line.way
FROM member CROSS JOIN (VALUES (0, 'opened', NULL), (1, 'delivered', NULL), (180, 'acknowledged', 'page'),
                               (7200, 'completed', 'page')) AS line (later, kind, way)
WHERE alert IS NOT NULL AND at + line.later * interval '1 second' <= now()

-- name: quiet
-- Assessments of the last eight days that needed nobody; older rows are forgotten.
INSERT INTO quiet_assessment (tenant_id, assessment_id, urgency, noted_at)
SELECT %(tenant)s, assessment, urgency, at FROM member WHERE alert IS NULL AND at > now() - interval '8 days'

-- name: indexes
-- Constraints and indexes of a table, the primary key first.
SELECT i.relname AS name, c.conname AS constraint_name, pg_get_constraintdef(c.oid) AS constraint_text,
       pg_get_indexdef(x.indexrelid) AS index_text
FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
LEFT JOIN pg_constraint AS c ON c.conindid = x.indexrelid AND c.conrelid = x.indrelid AND c.contype IN ('p', 'u')
WHERE x.indrelid = %(table)s::regclass ORDER BY x.indisprimary DESC, i.relname

-- name: size
SELECT pg_database_size(current_database()) AS bytes
