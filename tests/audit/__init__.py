"""The audit: recorded with the act, chained, given out as AuditEvent."""
