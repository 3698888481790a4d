-- A notice belongs to the tenant of its alert.
ALTER TABLE notice
    DROP CONSTRAINT notice_alert_id_fkey,
    ADD CONSTRAINT notice_of_alert FOREIGN KEY (tenant_id, alert_id) REFERENCES alert (tenant_id, id);
