-- Questionnaires of clients: a draft may change, so an entry says which version of the resource it is, and it keeps the
-- codes of the value sets that its questions refer to, as they were when it was published.
ALTER TABLE questionnaire
    ADD COLUMN version_id integer NOT NULL DEFAULT 1,
    ADD COLUMN value_sets jsonb NOT NULL DEFAULT '{}';   -- canonical to a ValueSet with its expansion

-- the entry of a resource that is to be updated; also: one resource has one url and version
CREATE UNIQUE INDEX questionnaire_id ON questionnaire (tenant_id, id);
