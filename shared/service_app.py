"""What the web process of every service has: errors as FHIR, operations, and a statement of what it offers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from shared.access.gate import Gate
from shared.access.service_token import is_service, signer
from shared.answered import Guard
from shared.audit.api import audit_routes
from shared.audit.denials import Denials
from shared.audit.neighbours import AuditNeighbours
from shared.description import install_description
from shared.fhir.capability import STATEMENT_ID, ResourceCapability, SystemCapability, capability_statement, parts_of
from shared.fhir.http import FhirResponse, fault, guard, install_error_handlers
from shared.fhir.resources import tenants_changed
from shared.fhir.rest import ResourceApi
from shared.fhir.security import security
from shared.fhir.service_reads import ServiceReads
from shared.head_and_gzip import CompressFhir, HeadAsGet
from shared.operations import Gauge, Measure, Metrics, check_database, install_operations
from shared.origin import HostCheck, host_check
from shared.postgres import require_durable
from shared.principal import principal_of
from shared.version import VERSION

NOBODY: Mapping[str, str] = MappingProxyType({})
Neighbours = Callable[[], Sequence[dict[str, Any]]]
"""The `rest.resource` entries that other services of the same base offer."""
NOTHING_FOR_ALL = SystemCapability()
"""No interaction or operation on the base as a whole."""


def guarded_app(title: str, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    """An application whose errors are FHIR, and that never redirects: a body must not follow to another address."""
    app = FastAPI(
        title=title,
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # what is described is the whole base (description.py)
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # our numbers hold no address, and cost less
    )
    install_error_handlers(app)
    app.add_middleware(CompressFhir)
    app.add_middleware(HeadAsGet)
    return app


def guard_of(ours: HostCheck, gate: Gate, denials: Denials | None = None) -> Guard:
    """What every request passes first: it is for us, its sender may ask it, and can read what we answer."""
    return lambda request: guard(request, ours, gate, denials)


def throttled(service: str, gate: Gate) -> Iterable[Gauge]:
    """How many requests were refused because there were too many."""
    for limit, number in (gate.limits.refused if gate.limits else {}).items():
        labels = {"service": service, "limit": limit}
        yield Gauge("sural_throttled_requests", "Requests refused for their number.", labels, float(number))


def service_app(
    service: str,
    resources: ResourceApi,
    capabilities: Sequence[ResourceCapability],
    *,
    measure: Measure,
    metrics: Metrics | None,
    neighbours: Neighbours = tuple,
    audit_neighbours: Mapping[str, str] = NOBODY,
    system: SystemCapability = NOTHING_FOR_ALL,
    close: Callable[[], None] = lambda: None,
    allowed_hosts: str = "",
    gate: Gate,
) -> FastAPI:
    """A FastAPI application on `resources.pool`, which it closes (after `close`) at shutdown.

    It does not start on a database that loses what it confirmed, but for a sandbox.
    It has /livez, /readyz, /metrics, /fhir/metadata, /fhir/AuditEvent and /capability/SERVICE; the caller adds the
    service's own routes. `audit_neighbours`: services by address whose audit is given out together with ours.
    """
    started = datetime.now(UTC)
    reads = ServiceReads(resources)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(require_durable, resources.pool, refuse=gate.tokens is not None)
        yield
        close()
        reads.close()
        resources.neighbours.close()
        resources.pool.close()

    app = guarded_app(f"Sural {service}", lifespan)
    install_operations(
        app,
        service=service,
        checks={"database": check_database(resources.pool)},
        measure=lambda: (*measure(), *throttled(service, gate)),
        version=VERSION,
        metrics=metrics,
        guard=guard_of(host_check(resources.public_url, allowed_hosts), gate, Denials(resources.pool)),
        fault=fault,
    )
    app.state.direct.update(reads.direct())

    def statement() -> dict[str, Any]:
        parts = [*parts_of(capabilities), *neighbours()]
        told = capability_statement(parts, url=resources.base, version=VERSION, published=started, system=system)
        told["rest"][0]["security"] = security(resources.public_url, tokens=gate.tokens is not None)
        return told

    @app.get("/fhir/metadata")
    @app.get(f"/fhir/CapabilityStatement/{STATEMENT_ID}")
    def metadata() -> Response:
        return FhirResponse(statement())

    install_description(app, statement, base=resources.base, signed_in=gate.tokens is not None)

    @app.get("/fhir/{resource_type}/$changed-tenants", include_in_schema=False)
    def changed_tenants(
        request: Request, resource_type: str, since: Annotated[datetime, Query(alias="_since")]
    ) -> Response:
        """For a neighbour that catches up: the ids of tenants with something new, and nothing else."""
        if not is_service(principal_of(request)):
            raise HTTPException(404)
        with resources.pool.connection() as connection:
            return JSONResponse({"tenants": [str(one) for one in tenants_changed(connection, resource_type, since)]})

    @app.get(f"/capability/{service}", include_in_schema=False)
    def capability() -> Response:
        return JSONResponse({"resource": parts_of(capabilities)})

    others = AuditNeighbours(audit_neighbours, signer(gate.service_secret, service))
    app.include_router(audit_routes(service, resources.pool, resources.base, others))
    return app
