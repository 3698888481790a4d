-- What neighbours must be told, written in the transaction of the thing itself. Sent rows are deleted.
CREATE TABLE outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id   uuid NOT NULL,
    queue       text NOT NULL,
    ref_id      text NOT NULL,
    ref_version integer NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0);
