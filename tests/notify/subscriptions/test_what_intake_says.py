"""What intake answers when it is asked whose registrations hold: other forms, and answers that do not end."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.notify.subscriptions.registrations import COUNTS_S, Registrations
from services.notify.subscriptions.store import Subscription
from services.notify.subscriptions.topics import ALERT
from shared.access.service_token import ServiceToken
from shared.fhir.client import FhirClient, NeighbourFault, NeighbourUnavailable
from shared.ids import DEFAULT_TENANT
from tests.notify.channels.scripted import Scripted, a_server_that, drips
from tests.tenants.conftest import OTHER_TENANT, SERVICE_TOKEN
from tests.waiting import eventually

CLIENT = "an EHR"


def a_client(identifier: Any = CLIENT, **changed: Any) -> dict[str, Any]:
    scope = {"name": "scope", "valueString": "system/*.cruds"} | changed
    return {"resourceType": "Parameters", "id": identifier, "parameter": [scope]}


def a_list(*clients: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": client} for client in clients]}


def held_of(tenant: UUID = DEFAULT_TENANT, client: str = CLIENT) -> Subscription:
    return Subscription(
        tenant_id=tenant,
        id=uuid4(),
        client=client,
        state="active",
        version=1,
        topic=ALERT,
        filters=(),
        endpoint="https://ehr.clinic.example/events",
        headers=(),
        content="id-only",
        heartbeat_s=None,
        timeout_s=10,
        max_count=20,
        created_at=datetime.now(UTC),
        ends_at=None,
        events=0,
        sent=0,
        attempts=0,
        failing_since=None,
        answer=None,
        last_contact_at=None,
        errored_at=None,
        due_at=None,
        lease_token=None,
    )


class Neighbour:
    """An intake that answers `said`; while a tenant is in `endless`, its answers begin and never end."""

    def __init__(self, said: Any) -> None:
        self.said = said
        self.endless: set[UUID] = set()
        self.begun: list[UUID] = []

    def __call__(self, server: Scripted, connection: socket.socket) -> None:
        asked = b""
        while not asked.endswith(b"\r\n\r\n"):
            asked += connection.recv(4096)
        [tenant] = [each for each in (DEFAULT_TENANT, OTHER_TENANT) if str(each).encode() in asked]
        body = json.dumps(self.said).encode()
        if tenant in self.endless:
            self.begun.append(tenant)
            drips(server, connection, begun=b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", drop=b" ")
        head = f"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)


@contextmanager
def registrations(intake: Neighbour) -> Iterator[Registrations]:
    with a_server_that(intake) as server:
        token = ServiceToken(SERVICE_TOKEN.encode(), "notify")
        asked = Registrations(FhirClient(f"http://127.0.0.1:{server.port}", token=token))
        try:
            yield asked
        finally:
            asked.close()


def test_a_list_of_the_promised_form_says_who_may_be_told() -> None:
    with registrations(Neighbour(a_list(a_client()))) as asked:
        assert asked.objection(held_of()) is None
        assert "is not known here" in str(asked.objection(held_of(client="another")))


@pytest.mark.parametrize(
    "said",
    [
        ["no", "Bundle"],
        {"resourceType": "OperationOutcome"},
        {"resourceType": "Bundle", "entry": None},
        {"resourceType": "Bundle", "entry": [{"fullUrl": "without a resource"}]},
        a_list("no resource"),
        a_list({"resourceType": "Parameters", "id": CLIENT}),
        a_list({"resourceType": "Parameters", "id": CLIENT, "parameter": []}),
        a_list({"resourceType": "Parameters", "parameter": a_client()["parameter"]}),
        a_list(a_client(7)),
        a_list(a_client(valueString=None)),
        a_list(a_client(name="tenant")),
        a_list(a_client("another"), a_client(valueString=7)),
    ],
    ids=lambda said: json.dumps(said)[:60],
)
def test_a_list_of_another_form_objects_to_nobody(said: Any) -> None:
    with registrations(Neighbour(said)) as asked, pytest.raises(NeighbourFault):
        asked.objection(held_of())


def test_an_answer_for_one_tenant_that_does_not_end_keeps_no_other_tenant_waiting() -> None:
    intake = Neighbour(a_list(a_client()))
    intake.endless.add(OTHER_TENANT)
    answers: list[str | None] = []
    with registrations(intake) as asked:
        theirs = threading.Thread(target=_ask_in_vain, args=(asked, held_of(OTHER_TENANT)))
        ours = threading.Thread(target=lambda: answers.append(asked.objection(held_of())))
        theirs.start()
        eventually(lambda: intake.begun == [OTHER_TENANT])
        ours.start()

        assert eventually(lambda: answers) == [None]
    theirs.join(10)
    ours.join(10)


def test_who_comes_while_an_answer_does_not_end_goes_by_what_was_known_and_is_not_turned_off() -> None:
    intake = Neighbour(a_list(a_client()))
    with registrations(intake) as asked:
        time = [0.0]
        asked.now, asked.patience_s = (lambda: time[0]), 0.05
        assert asked.objection(held_of()) is None
        intake.endless.add(DEFAULT_TENANT)
        time[0] += COUNTS_S
        first = threading.Thread(target=_ask_in_vain, args=(asked, held_of()))
        first.start()
        eventually(lambda: intake.begun == [DEFAULT_TENANT])

        assert asked.objection(held_of()) is None
        with pytest.raises(NeighbourUnavailable):
            asked.objection(held_of(client="registered since"))
    first.join(10)


def _ask_in_vain(asked: Registrations, held: Subscription) -> None:
    """Until the server hangs up."""
    try:
        asked.objection(held)
    except NeighbourUnavailable:
        return
