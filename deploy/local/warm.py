"""What several children would read for themselves; imported by the supervisor, it is read once and shared by fork."""

from services.triage.knowledge.loader import shipped_packs
from shared.fhir.elements import kinds

shipped_packs()
kinds()
