-- A webhook that was told before receivers had names hears of a withdrawal under the name that it has now.
SET LOCAL sural.across_tenants = 'on';
UPDATE delivery AS d SET recipient = 'default'
WHERE d.channel = 'webhook' AND d.recipient LIKE 'http%' AND NOT EXISTS (
    SELECT FROM delivery AS o WHERE o.alert_id = d.alert_id AND o.step = d.step
    AND o.channel = 'webhook' AND o.recipient = 'default');
