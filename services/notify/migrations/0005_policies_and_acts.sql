-- An alert follows an escalation policy, and people do more with it than acknowledge.
ALTER TABLE alert
    ADD COLUMN policy         text,     -- id of the escalation policy; null: everybody in SURAL_ALERT_RECIPIENTS
    ADD COLUMN policy_version integer,  -- version of the on-call document that it was read from when the alert began
    ADD COLUMN team           text,     -- id of the team that the policy belongs to
    ADD COLUMN position       integer NOT NULL DEFAULT 0,   -- which step of the policy's chain is the newest, from 0
    ADD COLUMN round          integer NOT NULL DEFAULT 1,   -- how often the chain was begun for the present urgency
    ADD COLUMN exhausted_at   timestamptz,  -- the chain ended without a person: the last fallback is told, again and again
    ADD COLUMN owner          text,     -- id of the person or team that has it now, when the on-call document names them
    ADD COLUMN snoozed_until  timestamptz,  -- told again from then on, judged by the clock of this database
    ADD COLUMN snoozes        integer NOT NULL DEFAULT 0,
    ADD COLUMN outcome        text,     -- what became of the patient, a code; with the alert's end
    ADD COLUMN override_reason text,    -- why the urgency was not followed, a code
    ADD COLUMN synthetic      boolean NOT NULL DEFAULT false,  -- made by the watchdog: nobody is ill
    DROP CONSTRAINT alert_state_check,
    ADD CONSTRAINT alert_state_check CHECK (state IN (
        'requested', 'received', 'on-hold', 'accepted', 'in-progress', 'completed', 'cancelled', 'rejected')),
    DROP CONSTRAINT alert_due_while_open,
    ADD CONSTRAINT alert_due_while_open CHECK (
        state IN ('requested', 'received', 'on-hold')
        OR (due_at IS NULL AND (acknowledged_at IS NOT NULL OR withdrawn_at IS NOT NULL)));
-- the alert that a further assessment joins; also: never two open or snoozed alerts for one patient and pathway
DROP INDEX alert_one_open;
CREATE UNIQUE INDEX alert_one_open ON alert (tenant_id, subject_key, pathway)
    WHERE state IN ('requested', 'received', 'on-hold');

ALTER TABLE delivery
    ADD COLUMN person text,             -- id of the person of the on-call document; null: an address of the settings
    DROP CONSTRAINT delivery_state_check,
    ADD CONSTRAINT delivery_state_check CHECK (state IN (
        'pending', 'sent', 'failed', 'dead', 'withdrawn', 'suppressed'));
