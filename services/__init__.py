"""Three deployables: intake, triage, notify. None imports another."""
