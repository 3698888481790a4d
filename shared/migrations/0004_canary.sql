-- When a worker of each queue last proved that it consumes. Read by health checks.
CREATE TABLE canary (
    queue   text PRIMARY KEY,
    seen_at timestamptz NOT NULL
);
