"""Which permissions a request needs, and that every route of the services is in the table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute, Route

from services.intake.app import create_app as create_intake
from services.intake.settings import IntakeSettings
from services.notify.app import create_app as create_notify
from services.notify.settings import NotifySettings
from services.triage.app import create_app as create_triage
from services.triage.settings import TriageSettings
from shared.access.gate import is_fhir, is_public
from shared.access.needs import UNKNOWN, authorise, needed
from shared.access.scopes import parse_scopes
from shared.ids import DEFAULT_TENANT
from shared.principal import SANDBOX, Principal
from shared.problems import ProblemError
from tests.conftest import Database, Servers, environment


def words(method: str, path: str) -> str:
    return " ".join(str(need) for need in needed(method, path))


@pytest.mark.parametrize(
    ("method", "path", "needs"),
    [
        ("POST", "/fhir/QuestionnaireResponse", "system/QuestionnaireResponse.c"),
        ("GET", "/fhir/QuestionnaireResponse", "system/QuestionnaireResponse.s"),
        ("POST", "/fhir/QuestionnaireResponse/_search", "system/QuestionnaireResponse.s"),
        ("GET", "/fhir/QuestionnaireResponse/a-1", "system/QuestionnaireResponse.r"),
        ("HEAD", "/fhir/QuestionnaireResponse/a-1", "system/QuestionnaireResponse.r"),
        ("GET", "/fhir/QuestionnaireResponse/a-1/_history/2", "system/QuestionnaireResponse.r"),
        ("GET", "/fhir/QuestionnaireResponse/a-1/_history", "system/QuestionnaireResponse.r"),
        ("GET", "/fhir/Task/_history", "system/Task.s"),
        ("PUT", "/fhir/Task/a-1", "system/Task.u"),
        ("PATCH", "/fhir/Task/a-1", "system/Task.u"),
        ("DELETE", "/fhir/Task/a-1", "system/Task.d"),
        ("GET", "/fhir/_history", "system/*.s"),
        ("POST", "/fhir/QuestionnaireResponse/$validate", "system/QuestionnaireResponse.c"),
        ("POST", "/fhir/QuestionnaireResponse/$triage", "system/QuestionnaireResponse.c system/RiskAssessment.r"),
        ("POST", "/fhir/QuestionnaireResponse/a/$triage", "system/QuestionnaireResponse.r system/RiskAssessment.r"),
        ("POST", "/fhir/Questionnaire/$process-response", "system/QuestionnaireResponse.c"),
        ("POST", "/fhir/Questionnaire/a/$process-response", "system/QuestionnaireResponse.c"),
        ("GET", "/fhir/QuestionnaireResponse/a/$status", "system/QuestionnaireResponse.r"),
    ],
)
def test_a_request_needs_what_its_method_and_path_say(method: str, path: str, needs: str) -> None:
    assert words(method, path) == needs


def test_everything_about_a_response_needs_reading_every_type_that_it_gives_out() -> None:
    needs = words("GET", "/fhir/QuestionnaireResponse/a/$everything").split()

    assert {f"system/{kind}.r" for kind in ("QuestionnaireResponse", "RiskAssessment", "Task", "Communication")} <= {
        *needs
    }


@pytest.mark.parametrize("path", ["/fhir", "/fhir/"])
def test_a_batch_itself_needs_a_token_and_nothing_more(path: str) -> None:
    assert needed("POST", path) == ()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/fhir"),
        ("POST", "/fhir/Task/a-1"),
        ("GET", "/fhir/Task/a-1/_history/2/3"),
        ("GET", "/fhir/Task/$unheard-of"),
        ("GET", "/fhir//Task"),
        ("GET", "/fhir/Task/a%2F1"),
        ("GET", "/fhir/task"),
        ("OPTIONS", "/fhir/Task"),
    ],
)
def test_what_the_table_does_not_know_needs_every_permission(method: str, path: str) -> None:
    assert needed(method, path) == UNKNOWN


def test_who_may_only_send_may_not_read_and_is_told_what_is_missing() -> None:
    sender = Principal("a", DEFAULT_TENANT, parse_scopes("system/QuestionnaireResponse.c"))

    authorise(sender, "POST", "/fhir/QuestionnaireResponse")
    with pytest.raises(ProblemError, match=r"system/QuestionnaireResponse\.r") as refused:
        authorise(sender, "GET", "/fhir/QuestionnaireResponse/a")
    assert refused.value.http_status == 403
    assert refused.value.problems[0].issue_code == "forbidden"


def test_the_sandbox_may_do_everything_and_a_principal_without_scopes_nothing() -> None:
    authorise(SANDBOX, "DELETE", "/fhir/Anything/a")
    with pytest.raises(ProblemError):
        authorise(Principal("a", DEFAULT_TENANT), "GET", "/fhir/Task")


def test_every_fhir_route_of_every_service_is_in_the_table(servers: Servers, migrated: Database) -> None:
    values = environment(servers, migrated.name)
    apps = (
        create_intake(IntakeSettings.load(values)),
        create_triage(TriageSettings.load(values)),
        create_notify(NotifySettings.load(values)),
    )
    unknown = [f"{method} {path}" for app in apps for method, path in routes(app) if needed(method, path) == UNKNOWN]
    for app in apps:
        close(app)

    assert unknown == []


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Method and an example path of each route below /fhir that is not public."""
    found = []
    for path, methods in paths(app.routes):
        if is_fhir(path) and not is_public(path):
            example = re.sub(r"\{[^}]+\}", "1", path.replace("{resource_type}", "Task"))
            found += [(method, example) for method in sorted(methods)]
    assert found
    return found


def paths(listed: Iterable[BaseRoute]) -> Iterator[tuple[str, set[str]]]:
    """Path and methods of each route, those of included routers too."""
    for route in listed:
        if isinstance(route, Route):
            yield route.path, route.methods or set()
        elif (router := getattr(route, "original_router", None)) is not None:
            yield from paths(router.routes)


def close(app: FastAPI) -> None:
    """End what the app opened, as its lifespan would."""
    import asyncio

    async def live() -> None:
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(live())
