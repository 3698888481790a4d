"""`./sural audit verify`: whether anything in the audit was changed, removed or added behind its back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import typer

from deploy.local.environment import SERVICES
from deploy.local.errors import StartError
from shared.audit.act import QUERIES
from shared.audit.chain import Head, Verified, seal_all, verify
from shared.postgres import connect, set_tenant, unavailable


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain of one tenant in one service, and what checking it came to."""

    service: str
    verified: Verified

    @property
    def name(self) -> str:
        """By this name a head is noted: `intake/<tenant>`."""
        return f"{self.service}/{self.verified.tenant}"


def verify_all(variables: Mapping[str, str], noted: Sequence[str]) -> Iterator[Chain]:
    """Check every chain, after sealing what is not sealed yet.

    `noted`: heads as this command printed them earlier, `SERVICE/TENANT=POSITION:HASH`. Raises StartError for one that
    cannot be read, and for a database that does not answer.
    """
    heads = dict(_noted(text) for text in noted)
    for service in SERVICES:
        try:
            with connect(variables[f"SURAL_{service.upper()}_DATABASE_URL"], schema=service) as connection:
                connection.execute("SET statement_timeout = 0")
                seal_all(connection)
                for row in connection.execute(QUERIES["tenants_audited"]).fetchall():
                    tenant: UUID = row["tenant"]
                    with connection.transaction():
                        set_tenant(connection, tenant)
                        found = verify(connection, tenant, noted=heads.get(f"{service}/{tenant}"))
                    yield Chain(service, found)
        except Exception as error:
            if not unavailable(error):
                raise
            raise StartError("The database does not answer.", "Start it, or correct SURAL_DATABASE_URL.") from error


def show(chains: Iterator[Chain]) -> bool:
    """Print each chain with its head; True when all are whole."""
    whole = True
    for chain in chains:
        found = chain.verified
        state = "whole" if not found.faults else "NOT WHOLE"
        typer.echo(f"{chain.name}={found.head or '-'} {found.events} events, {state}")
        for fault in found.faults:
            typer.echo(f"  {fault}")
        whole = whole and not found.faults
    return whole


def _noted(text: str) -> tuple[str, Head]:
    name, _, head = text.partition("=")
    position, _, digest = head.partition(":")
    if not (name and position.isdecimal() and len(digest) == 64):
        raise StartError(f"{text[:100]} is no head of a chain.", "Give it as printed: SERVICE/TENANT=POSITION:HASH.")
    return name, Head(int(position), digest)
