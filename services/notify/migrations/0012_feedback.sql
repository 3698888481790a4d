-- What clinicians say of an assessment: agree or disagree, because. The comment is health data and stays in this table.
CREATE TABLE feedback (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id          uuid NOT NULL,
    alert_id           uuid NOT NULL,
    assessment_id      text COLLATE "C" NOT NULL,
    assessment_version integer NOT NULL,
    at                 timestamptz NOT NULL DEFAULT clock_timestamp(),
    person             text NOT NULL,
    account            uuid,            -- null: nobody signed in (sandbox), the name was typed
    verdict            text NOT NULL
        CHECK (verdict IN ('agree', 'too-urgent', 'not-urgent-enough', 'wrong-candidate', 'wrong-text')),
    comment            text NOT NULL DEFAULT '',
    flags              text[],          -- ids of the red flags that were shown as fired; null: triage was away
    CONSTRAINT feedback_of_alert FOREIGN KEY (tenant_id, alert_id) REFERENCES alert (tenant_id, id)
);
-- detail page: what was said of an alert
CREATE INDEX feedback_alert ON feedback (tenant_id, alert_id, id);
-- measures: verdicts by flag in a period
CREATE INDEX feedback_at ON feedback (tenant_id, at);

CREATE FUNCTION refuse_change_of_feedback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'feedback is append-only';
END $$;
CREATE TRIGGER feedback_append_only BEFORE UPDATE OR DELETE ON feedback
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_feedback();

-- detail page and patient history: all alerts of a patient, newest first
CREATE INDEX alert_of_patient ON alert (tenant_id, subject_key, opened_at DESC);
