"""FHIR R4 (4.0.1) on the wire: parsing, structure, outcomes, REST."""
