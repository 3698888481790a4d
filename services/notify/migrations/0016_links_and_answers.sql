-- A link in a message that acknowledges once. The token itself is nowhere but in the message.
CREATE TABLE ack_link (
    token_sha256 bytea PRIMARY KEY,     -- also serves: the link that somebody opened
    tenant_id    uuid NOT NULL,
    alert_id     uuid NOT NULL,
    delivery_id  uuid NOT NULL,
    person       text,                  -- id of the person of the on-call document to whom the message went
    expires_at   timestamptz NOT NULL,  -- at the latest; a closed alert ends it too
    used_at      timestamptz,
    used_by      text,
    FOREIGN KEY (tenant_id, alert_id) REFERENCES alert (tenant_id, id)
);
-- links of an alert that are over, when a new one is made
CREATE INDEX ack_link_alert ON ack_link (alert_id);

-- Whose a link is: tenant and alert of the token's hash. Nothing else is known of who opens it.
CREATE FUNCTION whose_link(token bytea) RETURNS TABLE (tenant_id uuid, alert_id uuid) LANGUAGE sql STABLE AS $$
    SELECT l.tenant_id, l.alert_id FROM ack_link AS l WHERE l.token_sha256 = token
$$;
SELECT sees_all_tenants('whose_link(bytea)');

-- Signed answers of webhook receivers, each taken once.
CREATE TABLE webhook_answer (
    tenant_id   uuid NOT NULL,
    receiver    text NOT NULL,
    webhook_id  text NOT NULL,
    body_sha256 bytea NOT NULL,
    taken_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, receiver, webhook_id)
);
-- answers that no signature can repeat any more
CREATE INDEX webhook_answer_taken ON webhook_answer (tenant_id, taken_at);

-- Whose alert a receiver answers: the tenant, if a message of this alert was ordered for the receiver, else null.
CREATE FUNCTION tenant_of_answered(alert uuid, receiver text) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT d.tenant_id FROM delivery AS d
    WHERE d.alert_id = alert AND d.channel = 'webhook' AND d.recipient = receiver LIMIT 1
$$;
SELECT sees_all_tenants('tenant_of_answered(uuid, text)');
