-- One alert: something that a human must know and acknowledge. Its Task (same id) is in `resource`.
CREATE TABLE alert (
    id              uuid PRIMARY KEY,
    tenant_id       uuid NOT NULL,
    subject_key     text NOT NULL,      -- stands for the patient: reference, or system|value
    pathway         text NOT NULL,
    subject         jsonb,              -- RiskAssessment.subject as it came; null when it could not be read
    state           text NOT NULL
        CHECK (state IN ('requested', 'received', 'accepted', 'in-progress', 'completed', 'cancelled', 'rejected')),
    urgency         text NOT NULL CHECK (urgency IN ('emergency', 'same_day')),
    first_step      integer NOT NULL,   -- the step with which the present urgency began
    step            integer NOT NULL,   -- the newest step
    task_version    integer NOT NULL,
    opened_at       timestamptz NOT NULL,
    due_at          timestamptz,        -- when it is told again, judged by the clock of this database
    acknowledged_at timestamptz,
    acknowledged_by text,
    closed_at       timestamptz,
    CHECK (state IN ('requested', 'received') OR (due_at IS NULL AND acknowledged_at IS NOT NULL))
);
-- the alert that a further assessment joins; also: never two open alerts for one patient and pathway
CREATE UNIQUE INDEX alert_one_open ON alert (tenant_id, subject_key, pathway) WHERE state IN ('requested', 'received');
-- what the escalation tick takes next
CREATE INDEX alert_due ON alert (due_at) WHERE due_at IS NOT NULL;
-- worklist: open alerts; metrics
CREATE INDEX alert_open ON alert (tenant_id, opened_at) WHERE state IN ('requested', 'received');
-- worklist: acknowledged lately
CREATE INDEX alert_acknowledged ON alert (tenant_id, acknowledged_at) WHERE acknowledged_at IS NOT NULL;

-- Which versions of which assessments an alert stands for. Each version is counted once, in one alert.
CREATE TABLE alert_assessment (
    tenant_id          uuid NOT NULL,
    assessment_id      text COLLATE "C" NOT NULL,
    assessment_version integer NOT NULL,
    alert_id           uuid NOT NULL REFERENCES alert (id),
    urgency            text NOT NULL,
    joined_at          timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, assessment_id, assessment_version)
);
-- worklist: how many assessments an alert stands for
CREATE INDEX alert_assessment_alert ON alert_assessment (alert_id);

-- One message to one recipient by one channel. Its Communication (same id) is in `resource` once there is an outcome.
CREATE TABLE delivery (
    id         uuid PRIMARY KEY,
    tenant_id  uuid NOT NULL,
    alert_id   uuid NOT NULL REFERENCES alert (id),
    step       integer NOT NULL,
    channel    text NOT NULL,
    recipient  text NOT NULL,
    urgency    text NOT NULL,
    state      text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'sent', 'failed', 'dead', 'withdrawn')),
    attempts   integer NOT NULL DEFAULT 0,
    answer     text,                    -- class of the provider's last answer, never its text
    created_at timestamptz NOT NULL,
    sent_at    timestamptz,
    -- also serves: the deliveries of an alert, and of one step of it
    UNIQUE (alert_id, step, channel, recipient)
);
-- reconciler: deliveries that nobody works on
CREATE INDEX delivery_pending ON delivery (created_at) WHERE state = 'pending';
-- metrics: deliveries of the last day by state
CREATE INDEX delivery_created ON delivery (created_at, state);

-- The ledger: all that happened to an alert, in order, never changed.
CREATE TABLE alert_event (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id          uuid NOT NULL,
    alert_id           uuid NOT NULL REFERENCES alert (id),
    at                 timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind               text NOT NULL,
    person             text,
    step               integer,
    delivery_id        uuid,
    assessment_id      text,
    assessment_version integer,
    detail             text             -- a word from a fixed list: channel, class of an answer, state
);
-- the story of one alert
CREATE INDEX alert_event_alert ON alert_event (alert_id, id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'alert_event is append-only';
END $$;
CREATE TRIGGER alert_event_append_only BEFORE UPDATE OR DELETE ON alert_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What the reconciler had to put right.
CREATE TABLE repair (
    kind   text PRIMARY KEY,
    number bigint NOT NULL
);
