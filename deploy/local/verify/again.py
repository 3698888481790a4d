"""I3: an assessment that is made again from the same text with the same knowledge says the same, to the byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import orjson

from deploy.local.verify.violation import Violation
from services.triage.assess_response import prepared
from services.triage.basis import Basis, Run, Status
from services.triage.case import status_of
from services.triage.earlier import WINDOW_H
from services.triage.engine.pack import Pack
from services.triage.findings import FactReader
from services.triage.knowledge.loader import every_pack
from shared.fhir.canonicals import url_and_version
from shared.fhir.codes import Urgency
from shared.fhir.identity import as_received
from shared.fhir.parse import parse_resource
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.fhir.resources import Stored, unpacked
from shared.postgres import DictConnection

AGAIN = "says something else when it is made again"
NO_KNOWLEDGE = "the knowledge that it names is not at hand in that version, or was changed"


def make_again(
    connection: DictConnection, queries: Mapping[str, str], tenant: UUID, *, since: datetime, number: int
) -> Iterator[Violation]:
    """Draw so many assessments of a tenant and make them again."""
    if number == 0:
        return
    parameters = {"tenant": tenant, "since": since, "number": number}
    for row in connection.execute(queries["sample"], parameters).fetchall():
        name = f"RiskAssessment/{row['id']}/_history/{row['version_id']}"
        pack = packs().get((row["pack"], row["pack_version"]))
        if pack is None or pack.head.sha256 != row["pack_sha256"]:
            yield Violation("I3", NO_KNOWLEDGE, name)
        elif _made(connection, queries, tenant, row, pack) != unpacked(row["body"]):
            yield Violation("I3", AGAIN, name)


@cache
def packs() -> Mapping[tuple[str, str], Pack]:
    """Every pack that is here, by name and version."""
    return {(pack.head.name, pack.head.version): pack for pack in every_pack().values()}


def _made(
    connection: DictConnection, queries: Mapping[str, str], tenant: UUID, row: Mapping[str, Any], pack: Pack
) -> bytes | None:
    """The RiskAssessment as it would be stored; None when its form is not known or its status is another one."""
    stored = Stored(
        "QuestionnaireResponse",
        row["response_id"],
        row["response_version"],
        row["response_at"],
        unpacked(row["response"]),
        bytes(row["response_sha256"]),
    )
    response = parse_resource(as_received(stored), resource_type=stored.type).resource
    form = _form(connection, queries, tenant, str(response.get("questionnaire", "")))
    status = Status(orjson.loads(unpacked(row["body"]))["status"])
    if form is None or status not in (status_of(response, first=True), status_of(response, first=False)):
        return None
    basis = Basis.of(response, version=stored.version_id, sha256=stored.sha256.hex())
    earlier = _earlier(connection, queries, tenant, row)
    reader = FactReader(form, pack.content.facts)
    run = Run(row["id"], row["version_id"], row["last_updated"], status)
    return orjson.dumps(prepared(response, reader, pack, basis=basis, earlier=earlier)(run).resources[0])


def _form(
    connection: DictConnection, queries: Mapping[str, str], tenant: UUID, canonical: str
) -> QuestionnaireIndex | None:
    url, version = url_and_version(canonical)
    parameters = {"tenant": tenant, "url": url, "version": version}
    row = connection.execute(queries["questionnaire"], parameters).fetchone()
    if row is None:
        return None
    return QuestionnaireIndex.build(parse_resource(bytes(row["body"]), resource_type="Questionnaire").resource)


def _earlier(
    connection: DictConnection, queries: Mapping[str, str], tenant: UUID, row: Mapping[str, Any]
) -> Urgency | None:
    parameters = {
        "tenant": tenant,
        "pack": row["pack"],
        "ran_at": row["ran_at"],
        "hours": WINDOW_H,
        "response_id": row["response_id"],
        "subject": row["subject"],
    }
    rows = connection.execute(queries["earlier"], parameters).fetchall()
    return min((Urgency(each["urgency"]) for each in rows), key=lambda urgency: urgency.rank, default=None)
