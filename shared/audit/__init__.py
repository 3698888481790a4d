"""Who did what to which resource: recorded with the act, chained, given out as FHIR AuditEvent (IHE BALP)."""
