"""Alerts as the EHR's own resources: the newest Task and Communications are kept on a FHIR server that it names."""
