"""The pages of a form: LHC-Forms with live advice, and the plain one, which works without any script.

Both store every step in the same response, and both say at once when help is needed now. They are open to whoever holds
a ticket, and show nothing else of anybody; the FHIR API is not opened by one.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from services.intake.context import IntakeContext
from services.intake.form import draft as drafts
from services.intake.form.advice import Advice, advice_on
from services.intake.form.draft import FINISHED, OPEN, Draft, Published
from services.intake.form.filled import (
    Answers,
    Fields,
    Gap,
    answers_of,
    asked_of,
    left_open,
    read_fields,
    shown,
    steps_to_ask,
    view_of,
)
from services.intake.form.questions import Question, Step
from services.intake.form.sound_part import sound_part
from services.intake.form.tablet import Tablets
from services.intake.form.ticket import Ticket, TicketRefused
from shared.access.paces import Paces
from shared.access.session_cookie import HSTS
from shared.audit.act import Asker, asked_by
from shared.fhir.strict_json import read_json
from shared.origin import from_elsewhere
from shared.postgres import unavailable
from shared.problems import ProblemError

TEMPLATES = Path(__file__).parent / "templates"
ASSETS = Path(__file__).parent / "assets"
MOST_BYTES = 1024 * 1024
MEDIA = {".js": "text/javascript", ".css": "text/css", ".png": "image/png", ".md": "text/markdown"}
_COMMON = "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'self'; {_COMMON}",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
LHC_HEADERS = {
    **HEADERS,
    # LHC-Forms writes style elements of its own. It runs no text as code, and loads nothing from elsewhere.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " + _COMMON
    ),
}
MOST_A_SECOND, MOST_AT_ONCE = 2.0, 60.0
"""What one ticket may send: far above what a hand types. One device must not fill the check of refused submissions."""
READ_FOR_S = 300
"""So long the last page can be opened again; then the device knows nothing of the form any more."""

log = logging.getLogger(__name__)
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def routes(intake: IntakeContext, tablets: Tablets, *, public_url: str, emergency_number: str) -> APIRouter:
    """Every page and answer below /questionnaire."""
    render = _renderer(tablets, emergency_number)
    forms = drafts.Forms(intake)
    assets = {str(path.relative_to(ASSETS)): path for path in ASSETS.rglob("*") if path.suffix in MEDIA}
    paces = Paces(per_second=MOST_A_SECOND, at_once=MOST_AT_ONCE)
    router = APIRouter(route_class=_page_route(render, https=tablets.secure), include_in_schema=False)

    def opened(request: Request, form: str) -> tuple[Ticket, Published, Draft]:
        """Ticket, form and what was filled in. From here on the form asks, in the audit."""
        ticket = tablets.held(request, form)
        if request.method == "POST" and paces.wait_s(ticket.response_id):
            raise HTTPException(429)
        asked_by(Asker(drafts.CLIENT, request.client.host if request.client else None))
        return ticket, forms.of(ticket), drafts.read_draft(intake, ticket)

    def address(form: str, rest: str = "") -> str:
        return f"{tablets.base}/questionnaire/{quote(form)}{rest}"

    def seen(to: str) -> Response:
        return RedirectResponse(to, status_code=303, headers=HEADERS)

    def advice(ticket: Ticket, response: Mapping[str, Any] | None) -> Advice | None:
        return advice_on(intake.terminology, ticket, response) if response else None

    async def body(request: Request) -> bytes:
        if from_elsewhere(request.headers, public_url):
            raise HTTPException(403)
        content = b""
        async for chunk in request.stream():
            content += chunk
            if len(content) > MOST_BYTES:
                raise HTTPException(413)
        return content

    @router.get("/questionnaire/assets/{name:path}")
    def asset(name: str) -> Response:
        if (path := assets.get(name)) is None:
            raise HTTPException(404)
        headers = {**HEADERS, "Cache-Control": "max-age=3600"}
        return Response(path.read_bytes(), media_type=MEDIA[path.suffix], headers=headers)

    def begun(request: Request, form: str, rest: str) -> Response | None:
        """Where the browser goes first: it takes a ticket from the link, or in the sandbox gets one. None: go on."""
        if given := request.query_params.get("ticket"):
            return tablets.give(seen(address(form, rest)), tablets.read(given, form))
        try:
            tablets.held(request, form)
        except TicketRefused:
            if not tablets.sandbox:
                raise
            ticket = tablets.new(form)
            forms.of(ticket)
            return tablets.give(seen(address(form, rest)), ticket)
        return None

    @router.get("/questionnaire/{form}")
    def lhc(request: Request, form: str) -> Response:
        if (first := begun(request, form, "")) is not None:
            return first
        _, of, draft = opened(request, form)
        if draft.finished:
            return seen(address(form, "/done"))
        return render("lhc.html", form=of.form, headers=LHC_HEADERS)

    @router.get("/questionnaire/{form}/definition")
    def definition(request: Request, form: str) -> Response:
        _, of, _ = opened(request, form)
        return Response(of.text, media_type="application/fhir+json", headers=HEADERS)

    @router.get("/questionnaire/{form}/draft")
    def draft_of(request: Request, form: str) -> Response:
        _, _, draft = opened(request, form)
        if draft.finished:  # what was sent is shown to nobody who holds the link after that
            raise HTTPException(404)
        return Response(orjson.dumps(drafts.plain(draft.response)), media_type="application/fhir+json", headers=HEADERS)

    @router.post("/questionnaire/{form}/advice")
    def live_advice(request: Request, form: str, sent: bytes = Depends(body)) -> Response:
        ticket, of, _ = opened(request, form)
        said = advice(ticket, sound_part(of.index, drafts.unsent(ticket, of, _items(sent))))
        if said is None:
            return JSONResponse({"known": False}, headers=HEADERS)
        return JSONResponse({"known": True, "emergency": said.is_emergency, "text": said.text}, headers=HEADERS)

    @router.post("/questionnaire/{form}/answers")
    def store_answers(request: Request, form: str, sent: bytes = Depends(body)) -> Response:
        """Stores what LHC-Forms gives; 422 with the sentences of the gate where it is not complete."""
        ticket, of, draft = opened(request, form)
        if draft.finished:
            return JSONResponse({"next": address(form, "/done")}, headers=HEADERS)
        status = FINISHED if request.query_params.get("finished") == "true" else OPEN
        try:
            drafts.save_items(intake, ticket, of, _items(sent), before=draft, status=status)
        except ProblemError as error:
            wrong = [problem.message for problem in error.problems if problem.severity != "warning"]
            return JSONResponse({"wrong": wrong[:20]}, error.http_status, headers=HEADERS)
        return JSONResponse({"next": address(form, "/done") if status == FINISHED else ""}, headers=HEADERS)

    @router.get("/questionnaire/{form}/plain")
    def plain(request: Request, form: str) -> Response:
        if (first := begun(request, form, "/plain")) is not None:
            return first
        ticket, of, draft = opened(request, form)
        if draft.finished:
            return seen(address(form, "/done"))
        answers = answers_of(draft.response)
        steps = steps_to_ask(of.form, view_of(of.index, answers))
        wanted = request.query_params.get("step", "")
        step = next((one for one in steps if one.link_id == wanted), steps[0])
        return step_page(of, step, answers, {}, [], advice(ticket, draft.response))

    def step_page(
        of: Published, step: Step, answers: Answers, fields: Fields, faults: Sequence[Gap], said: Advice | None
    ) -> Response:
        view = view_of(of.index, answers)
        steps = steps_to_ask(of.form, view)
        number = next((place for place, one in enumerate(steps) if one.link_id == step.link_id), 0)
        return render(
            "step.html",
            status=422 if faults else 200,
            form=of.form,
            step=step,
            parts=shown(asked_of(step, view), answers, fields, faults),
            faults=faults,
            number=number + 1,
            of=len(steps),
            before=steps[number - 1].link_id if number else "",
            emergency=said if said is not None and said.is_emergency else None,
            unchecked=said is None and bool(answers),
        )

    @router.post("/questionnaire/{form}/plain")
    def step_sent(request: Request, form: str, sent: bytes = Depends(body)) -> Response:
        ticket, of, draft = opened(request, form)
        if draft.finished:
            return seen(address(form, "/done"))
        fields = parse_qs(sent.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=2000)
        step = of.form.step(request.query_params.get("step", ""))
        if step is None:
            return seen(address(form, "/plain"))
        before = answers_of(draft.response)
        asked = set(fields.get("asked", [""])[0].split())
        questions = [question for question in step.questions if question.link_id in asked]
        new, faults = read_fields(questions, fields)
        unread = {gap.link_id for gap in faults}
        # What cannot be read does not take away what was answered before.
        answers = {**before, **{link_id: given for link_id, given in new.items() if link_id not in unread}}
        # What could be read is stored even where something else is missing: a step that is never finished counts too.
        draft = drafts.save_answers(intake, ticket, of, answers, before=draft, status=OPEN)
        faults += left_open((question for question in questions if question.link_id not in unread), new)
        said = advice(ticket, draft.response)
        if faults:
            return step_page(of, step, answers, fields, faults, said)
        view = view_of(of.index, answers)
        opened_now = [part for part in asked_of(step, view) if isinstance(part, Question)]
        if any(question.link_id not in asked for question in opened_now):
            onward = address(form, f"/plain?step={quote(step.link_id)}#more")
        else:
            steps = [one.link_id for one in steps_to_ask(of.form, view)]
            later = steps[steps.index(step.link_id) + 1 :] if step.link_id in steps else steps
            onward = address(form, f"/plain?step={quote(later[0])}" if later else "/check")
        if said is not None and said.is_emergency and "warned" not in fields:
            return render("emergency.html", form=of.form, said=said, onward=onward)
        return seen(onward)

    @router.get("/questionnaire/{form}/check")
    def check(request: Request, form: str) -> Response:
        ticket, of, draft = opened(request, form)
        if draft.finished:
            return seen(address(form, "/done"))
        return check_page(of, draft, advice(ticket, draft.response), ())

    def check_page(of: Published, draft: Draft, said: Advice | None, wrong: Sequence[str]) -> Response:
        answers = answers_of(draft.response)
        view = view_of(of.index, answers)
        missing = [
            (step, fault)
            for step in steps_to_ask(of.form, view)
            for fault in left_open((part for part in asked_of(step, view) if isinstance(part, Question)), answers)
        ]
        return render(
            "check.html",
            status=422 if wrong else 200,
            form=of.form,
            missing=missing,
            wrong=wrong,
            emergency=said if said is not None and said.is_emergency else None,
            unchecked=said is None,
        )

    @router.post("/questionnaire/{form}/send")
    def send(request: Request, form: str, sent: bytes = Depends(body)) -> Response:
        ticket, of, draft = opened(request, form)
        if not draft.finished:
            answers = answers_of(draft.response)
            try:
                drafts.save_answers(intake, ticket, of, answers, before=draft, status=FINISHED)
            except ProblemError as error:
                wrong = [problem.message for problem in error.problems if problem.severity != "warning"]
                return check_page(of, draft, advice(ticket, draft.response), wrong)
        return seen(address(form, "/done"))

    @router.get("/questionnaire/{form}/done")
    def done(request: Request, form: str) -> Response:
        ticket, of, draft = opened(request, form)
        if not draft.finished:
            return seen(address(form, "/plain"))
        said = advice(ticket, draft.response)
        answer = render("done.html", form=of.form, said=said, response_id=ticket.response_id)
        return tablets.give(answer, ticket, for_s=READ_FOR_S)

    @router.post("/questionnaire/{form}/leave")
    def leave(request: Request, form: str, sent: bytes = Depends(body)) -> Response:
        return tablets.take(seen(address(form, "/left")), form)

    @router.get("/questionnaire/{form}/left")
    def left(form: str) -> Response:
        return tablets.take(render("left.html", again=address(form) if tablets.sandbox else ""), form)

    return router


def _items(sent: bytes) -> list[Mapping[str, Any]]:
    """`item` of what LHC-Forms sent. Raises HTTPException 400; what is in the items is judged like everything else."""
    try:
        content = read_json(sent)
    except ProblemError:
        raise HTTPException(400) from None
    items = content.get("item", []) if isinstance(content, dict) else None
    if not isinstance(items, list):
        raise HTTPException(400)
    return items


def _renderer(tablets: Tablets, emergency_number: str) -> Callable[..., Response]:
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(base=tablets.base, sandbox=tablets.sandbox, emergency_number=emergency_number)

    def render(template: str, *, status: int = 200, headers: Mapping[str, str] = HEADERS, **values: object) -> Response:
        text = environment.get_template(template).render(**values)
        return Response(text, status, media_type="text/html", headers=dict(headers))

    return render


def _page_route(render: Callable[..., Response], *, https: bool) -> type[APIRoute]:
    class Page(APIRoute):
        """A route whose errors are pages too."""

        def get_route_handler(self) -> Handler:
            handler = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                try:
                    answer = await handler(request)
                except Exception as error:
                    answer = _error_page(render, error)
                if https:
                    answer.headers["Strict-Transport-Security"] = HSTS
                return answer

            return guarded

    return Page


def _error_page(render: Callable[..., Response], error: Exception) -> Response:
    """What went wrong, in words for somebody who is ill: what to do comes first."""
    reference = ""
    match error:
        case TicketRefused():
            status, sentence = 403, str(error)
        case ProblemError() if error.http_status == 412:
            status, sentence = 409, "This form was changed in another window. Open it again and go on there."
        case ProblemError() if error.http_status < 500:
            status, sentence = error.http_status, " ".join(problem.message for problem in error.problems[:5])
        case HTTPException(status_code=429):
            status, sentence = (
                429,
                "Too much at once: this was not stored. Wait a few seconds and send it again.",
            )
        case HTTPException(status_code=404):
            status, sentence = 404, "There is no such page."
        case HTTPException():
            status, sentence = error.status_code, "This could not be read. Go back and try again."
        case _:
            status = 503 if unavailable(error) or isinstance(error, ProblemError) else 500
            reference = secrets.token_hex(6)
            log.error("page failed", extra={"reference": reference, "error": type(error).__name__}, exc_info=error)
            sentence = "Your answer was not stored. Go back and try again in a few seconds."
    return render("error.html", status=status, sentence=sentence, reference=reference)
