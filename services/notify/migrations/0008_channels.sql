-- Devices on which somebody asked to be told (Web Push). The address and the keys come from the person's browser.
CREATE TABLE push_subscription (
    id           uuid PRIMARY KEY,
    tenant_id    uuid NOT NULL,
    person       text NOT NULL,         -- id of a person of the on-call document
    name         text NOT NULL,         -- what the person calls the device
    endpoint     text NOT NULL,         -- whoever knows it and our key can make the device show something: not shown, not logged
    public_key   text NOT NULL,         -- p256dh of the browser, base64url
    secret       text NOT NULL,         -- auth of the browser, base64url
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,           -- when the push service last took a message for it
    -- a browser is registered once, by whoever did so last
    UNIQUE (tenant_id, endpoint)
);
-- the devices of a person
CREATE INDEX push_subscription_person ON push_subscription (tenant_id, person, created_at);

-- Receivers of webhooks have names; the address stays in the settings.
SET LOCAL sural.across_tenants = 'on';
UPDATE delivery SET recipient = 'default' WHERE channel = 'webhook' AND recipient LIKE 'http%' AND state = 'pending';

-- metrics: steps of the last day that reached nobody
CREATE INDEX alert_event_unreached ON alert_event (at) WHERE kind = 'reached_nobody';

-- How many steps of alerts reached nobody in the last day, of all tenants, for /metrics.
CREATE FUNCTION steps_that_reached_nobody() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT count(*) FROM alert_event AS e WHERE e.kind = 'reached_nobody' AND e.at > now() - interval '24 hours'
$$;
SELECT sees_all_tenants('steps_that_reached_nobody()');
