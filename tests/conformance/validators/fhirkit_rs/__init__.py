"""Environment and judge of fhirkit-rs."""
