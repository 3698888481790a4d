-- Planned once for each connection: what these functions ask is found by its keys, however much there is of it. For one
-- response the planner thought a plan of its own cheaper, and made one each time, which took longer than all the rest.
ALTER FUNCTION open_chunk(uuid, text[], text[], text[], text[], text[], integer) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION store_assessments(uuid, jsonb, jsonb, bytea[], bytea[], jsonb, jsonb)
    SET plan_cache_mode = force_generic_plan;
