"""Stores, at migration, all that intake publishes about the base."""

from __future__ import annotations

from uuid import UUID

from services.intake import store
from services.intake.definitions.identifiers import naming_systems
from services.intake.definitions.operations import operation_definitions
from services.intake.definitions.searches import search_definitions
from services.intake.definitions.structures import structure_definitions
from shared.fhir.definitions import Resource
from shared.fhir.publishing import publish_definition
from shared.postgres import DictConnection


def definitions() -> list[Resource]:
    """Every definition that is intake's, whatever its type."""
    return [*structure_definitions(), *search_definitions(), *operation_definitions(), *naming_systems()]


def publish_definitions(connection: DictConnection, tenant: UUID) -> list[str]:
    """Store what is new or changed of them; returns what was stored. Raises ProblemError for one that is not R4."""
    with connection.transaction():
        store.lock_publication(connection)
        return [line for wanted in definitions() for line in publish_definition(connection, tenant, wanted)]
