-- which queues whose names begin alike have due work (jobs.sql, due_kinds): each recipient of a message has a queue of its own
CREATE INDEX job_due_name ON job (split_part(kind, '/', 1), due_at) WHERE state IN ('pending', 'running');
