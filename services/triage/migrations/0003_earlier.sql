-- How urgent each evaluation was by its own answers, and whose it is: for 24 hours a later one is not less urgent.
ALTER TABLE assessment_run
    ADD COLUMN subject      text,                            -- tells the patient from all others; NULL: may be anybody
    ADD COLUMN urgency      text,                            -- without what an earlier one kept up; NULL: none
    ADD COLUMN withdrawn    boolean NOT NULL DEFAULT false,  -- this version says: entered in error
    ADD COLUMN by_clinician boolean NOT NULL DEFAULT false;  -- a clinician answered: earlier ones no longer count

-- earlier evaluations of the same patient
CREATE INDEX assessment_run_subject ON assessment_run (tenant_id, subject, ran_at) WHERE subject IS NOT NULL;
