-- What was alerted may be withdrawn, or turn out less urgent; a refused submission may look urgent.
ALTER TABLE alert
    ADD COLUMN withdrawn_at   timestamptz,  -- nothing stands behind it any more: closed by the system
    ADD COLUMN refused_client text,         -- stands for a refused submission only: who sent it, and when it came
    ADD COLUMN refused_at     timestamptz,
    DROP CONSTRAINT alert_check,
    ADD CONSTRAINT alert_due_while_open CHECK (
        state IN ('requested', 'received')
        OR (due_at IS NULL AND (acknowledged_at IS NOT NULL OR withdrawn_at IS NOT NULL)));
-- worklist: withdrawn lately
CREATE INDEX alert_withdrawn ON alert (tenant_id, withdrawn_at) WHERE withdrawn_at IS NOT NULL;

ALTER TABLE alert_assessment
    ADD COLUMN stands     boolean NOT NULL DEFAULT true,    -- false: this version asks for no alert (any more)
    ADD COLUMN submission text COLLATE "C";                 -- stands for the sender's identifier of the form
-- the alert of a refused submission that its correction joins
CREATE INDEX alert_assessment_submission ON alert_assessment (tenant_id, submission) WHERE submission IS NOT NULL;

-- The newest version in which an assessment was withdrawn: an older one that comes late alerts nobody.
CREATE TABLE withdrawn_assessment (
    tenant_id          uuid NOT NULL,
    assessment_id      text COLLATE "C" NOT NULL,
    assessment_version integer NOT NULL,
    PRIMARY KEY (tenant_id, assessment_id)
);

-- A step that does not ask for acknowledgement: whoever was told hears that an assessment was withdrawn or changed.
CREATE TABLE notice (
    tenant_id          uuid NOT NULL,
    alert_id           uuid NOT NULL REFERENCES alert (id),
    step               integer NOT NULL,
    kind               text NOT NULL CHECK (kind IN ('withdrawn', 'changed')),
    assessment_id      text COLLATE "C" NOT NULL,
    assessment_version integer NOT NULL,
    still_open         boolean NOT NULL,    -- the alert still waited for somebody
    given_at           timestamptz NOT NULL,
    PRIMARY KEY (alert_id, step),
    -- each change is told of once
    UNIQUE (alert_id, assessment_id, assessment_version)
);
