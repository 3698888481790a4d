"""The three services behind one FHIR base, in one ASGI process: each request goes to the service that owns its type."""

from __future__ import annotations

import html
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

import services.intake.api
import services.notify.api
import services.triage.api
from services.intake.app import create_app as create_intake
from services.intake.settings import IntakeSettings
from services.notify.app import create_app as create_notify
from services.notify.settings import NotifySettings
from services.triage.app import create_app as create_triage
from services.triage.settings import TriageSettings
from shared.access.opening import gate_of
from shared.fhir.http import fault
from shared.operations import Metrics, install_operations
from shared.origin import host_check
from shared.serve import serve
from shared.service_app import guard_of, guarded_app
from shared.telemetry import configure_logging
from shared.version import VERSION

NOTIFY_PATHS = ("/worklist", "/a", "/capability/notify")


class OneBase:
    """Sends each request to the service that owns its path; what belongs to none is answered by the front."""

    def __init__(self, front: FastAPI, intake: FastAPI, triage: FastAPI, notify: FastAPI) -> None:
        self._front, self._triage = front, triage
        self._prefixes: dict[str, FastAPI] = {"/fhir": intake, "/fhir/metadata": intake, "/capability/intake": intake}
        self._prefixes.update(dict.fromkeys(("/auth/token", "/.well-known", "/fhir/.well-known"), intake))
        self._prefixes.update(
            {
                "/submission": intake,
                "/questionnaire": intake,
                "/docs": intake,
                "/openapi.json": intake,
                "/capability/triage": triage,
            }
        )
        self._prefixes.update(dict.fromkeys(NOTIFY_PATHS, notify))
        for app, module in (
            (intake, services.intake.api),
            (triage, services.triage.api),
            (notify, services.notify.api),
        ):
            self._prefixes.update({f"/fhir/{capability.type}": app for capability in module.CAPABILITIES})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        path = str(scope.get("path", "")).split("/")
        app = self._front
        for depth in (2, 3):
            app = self._prefixes.get("/".join(path[:depth]), app)
        if path[2:3] == ["QuestionnaireResponse"] and path[-1] == "$triage":
            app = self._triage
        await app(scope, receive, send)


def create_app() -> OneBase:
    """All three services, with one /livez, /readyz and /metrics for the process."""
    metrics = Metrics()
    settings = NotifySettings.load()
    intake = create_intake(IntakeSettings.load(), metrics=metrics)
    triage = create_triage(TriageSettings.load(), metrics=metrics)
    notify = create_notify(settings, metrics=metrics)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for app in (intake, triage, notify):
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    front = guarded_app("Sural", lifespan)
    checks = {
        f"{name}-{check}": run
        for name, app in (("intake", intake), ("triage", triage), ("notify", notify))
        for check, run in app.state.checks.items()
    }
    install_operations(
        front,
        service="web",
        checks=checks,
        measure=lambda: (),
        version=VERSION,
        metrics=metrics,
        guard=guard_of(host_check(settings.public_url, settings.allowed_hosts), gate_of(settings)),
        fault=fault,
    )

    @front.get("/", include_in_schema=False)
    def home() -> Response:
        text = HOME.replace("BASE", html.escape(settings.public_url.rstrip("/")))
        return HTMLResponse(text.replace("MODE", SANDBOX if settings.sandbox else PRODUCTION), headers=PAGE_HEADERS)

    return OneBase(front, intake, triage, notify)


PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}

SANDBOX = '<p class="sandbox">Sandbox: test data only. Nobody is asked for a password, no clinician is on call.</p>'
PRODUCTION = "<p>What is below the FHIR base needs an access token, and the worklist a sign-in.</p>"
HOME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sural</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/worklist/assets/style.css"></head><body>
MODE
<main><h1>Sural</h1>
<p>Triage of pain behind the knee, in the calf and behind the ankle: a FHIR QuestionnaireResponse comes in, an explained
RiskAssessment comes out, and a clinician acknowledges what is urgent. Decision support for clinicians; not cleared for
clinical use.</p>
<ul>
<li><a href="/worklist">Worklist</a>: open alerts</li>
<li><a href="/questionnaire/posterior-lower-limb">Form</a>: the Questionnaire to fill in
(<a href="/questionnaire/posterior-lower-limb/plain">page by page</a>, without scripts);
<a href="/submission/new/posterior-lower-limb">for a patient</a></li>
<li><a href="/fhir/metadata">FHIR base BASE/fhir</a>: what it offers (CapabilityStatement)</li>
<li><a href="/docs">Addresses</a>, each with a line for curl (<a href="/openapi.json">OpenAPI</a>)</li>
<li><a href="/fhir/Questionnaire">Questionnaires</a></li>
<li><a href="/fhir/Library?_elements=url,version,title,status">Clinical content</a>, as Library and PlanDefinition</li>
<li><a href="/metrics">Metrics</a>, <a href="/readyz">readiness</a></li>
</ul></main></body></html>
"""


def main() -> None:
    """Serve on the address in SURAL_HOST and SURAL_PORT."""
    settings = IntakeSettings.load()
    configure_logging(service="web", level=settings.log_level)
    serve(create_app(), host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
