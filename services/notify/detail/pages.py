"""The page of one alert, its print, the history of a patient, and what clinicians say of an assessment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import unquote, urlencode, urlsplit
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from services.notify.assessment import Refused
from services.notify.channels import short_id
from services.notify.detail import words
from services.notify.detail.doing import Form, do
from services.notify.detail.feedback import VERDICTS
from services.notify.detail.looking import AWAY_HISTORY, Looked, look, look_at_patient
from services.notify.detail.names import remembered
from services.notify.detail.neighbours import Neighbours
from services.notify.detail.offered import offered
from services.notify.escalation import Plan
from services.notify.page import SECURITY_HEADERS, page_route, read_form, renderer
from services.notify.page import Form as Fields
from services.notify.records import Alert
from services.notify.sign_in.visitor import Role, Visitor, require_role
from services.notify.task import refused_words
from services.notify.worklist.pages import NAME_COOKIE
from shared.postgres import Pool
from shared.problems import ProblemError

FORM_BYTES = 32_768
"""A comment of the longest kind, percent-encoded, and the flags."""
READERS = (Role.CLINICIAN, Role.LEAD)


def routes(
    pool: Pool, plan: Plan, neighbours: Neighbours, *, public_url: str, sandbox: bool, patient_link: str
) -> APIRouter:
    """All pages below an alert, and the patient's."""
    base = urlsplit(public_url).path.rstrip("/")
    render = renderer(base=base, sandbox=sandbox)
    router = APIRouter(route_class=page_route(render), include_in_schema=False)

    async def sent(request: Request) -> Fields:
        return await read_form(request, public_url, most_bytes=FORM_BYTES)

    def shown(
        request: Request, alert_id: UUID, template: str, *, wanted: tuple[str, int] | None = None, **more: Any
    ) -> Response:
        visitor = reader_of(request)
        looked = look(pool, neighbours, visitor.tenant, alert_id, wanted=wanted)
        return render(template, **values_of(looked, request, visitor, patient_link), **{"typed": {}, **more})

    @router.get("/worklist/alert/{alert_id}")
    def alert(
        request: Request,
        alert_id: UUID,
        assessment: str | None = None,
        version: Annotated[int | None, Query(ge=1)] = None,
    ) -> Response:
        wanted = (assessment, version) if assessment and version else None
        return shown(request, alert_id, "detail/alert.html", wanted=wanted)

    @router.get("/worklist/alert/{alert_id}/print")
    def summary(request: Request, alert_id: UUID) -> Response:
        return shown(request, alert_id, "detail/print.html")

    @router.get("/worklist/patient")
    def patient(request: Request, key: Annotated[str, Query(min_length=1, max_length=400)]) -> Response:
        visitor = reader_of(request)
        found = look_at_patient(pool, neighbours, visitor.tenant, key)
        link = words.patient_link(patient_link, found.subject)
        return render(
            "detail/patient.html", patient=found, away=AWAY_HISTORY, w=words, short=short_id, patient_link=link
        )

    def answers(form: Form) -> Callable[..., Response]:
        def answer(request: Request, alert_id: UUID, fields: Mapping[str, list[str]] = Depends(sent)) -> Response:
            visitor = reader_of(request)
            typed = {name: values[0] for name, values in fields.items()}
            try:
                do(pool, plan, visitor, alert_id, form, typed)
            except ProblemError as error:
                if error.http_status == 404:
                    raise
                told: dict[str, Any] = {"typed": typed, "failed": form.value, "error": error.problems[0].message}
                return shown(request, alert_id, "detail/alert.html", status=error.http_status, **told)
            done = RedirectResponse(after(base, alert_id, form, typed), status_code=303, headers=SECURITY_HEADERS)
            return done if visitor.name else remembered(done, typed, base=base, https=public_url.startswith("https://"))

        return answer

    for form in Form:
        router.add_api_route(f"/worklist/alert/{{alert_id}}/{form.value}", answers(form), methods=["POST"])
    return router


def reader_of(request: Request) -> Visitor:
    """Whoever may see patients. Raises RoleNeeded."""
    return require_role(request, *READERS)


def values_of(looked: Looked, request: Request, visitor: Visitor, patient_link: str) -> dict[str, Any]:
    """What the templates of one alert are filled with."""
    alert = looked.alert
    patient, detail = words.patient_words(alert.subject)
    return {
        "looked": looked,
        "alert": alert,
        "short": short_id(alert.id),
        "patient": patient,
        "patient_detail": detail,
        "patient_link": words.patient_link(patient_link, alert.subject),
        "patient_key": alert.subject_key if looked.known_patient else "",
        "waiting": words.age_words(looked.now - alert.opened_at),
        "now": words.clock(looked.now),
        "refused": refused_sentence(alert),
        "offered": offered(alert),
        "verdicts": VERDICTS,
        "asks_name": not visitor.name,
        "name": unquote(request.cookies.get(NAME_COOKIE, ""))[:120],
        "w": words,
    }


def refused_sentence(alert: Alert) -> str:
    """That it stands for a refused submission only, or ""."""
    if alert.refused_client is None or alert.refused_at is None:
        return ""
    return refused_words(Refused("", alert.refused_client, alert.refused_at))


def after(base: str, alert_id: UUID, form: Form, typed: Mapping[str, str]) -> str:
    """Where somebody is once it is done: at the acts, or at the feedback on the version that they spoke of."""
    here = f"{base}/worklist/alert/{alert_id}"
    if form is not Form.FEEDBACK:
        return f"{here}#acts"
    return f"{here}?{urlencode({name: typed.get(name, '') for name in ('assessment', 'version')})}#feedback"
