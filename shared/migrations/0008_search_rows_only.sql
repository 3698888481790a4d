-- Searches read search_value and search_range (0005); what they read before is gone.
DROP TABLE resource_identifier;
DROP INDEX resource_subject;
ALTER TABLE resource DROP COLUMN status, DROP COLUMN subject;
