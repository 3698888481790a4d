"""FHIR Subscriptions by rest-hook: other systems hear of alerts and assessments (R4 with the R5 Backport 1.1.0)."""
