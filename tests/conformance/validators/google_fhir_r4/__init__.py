"""Environment and judge of google-fhir-r4."""
