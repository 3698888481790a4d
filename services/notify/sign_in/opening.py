"""The rooms of signing in, put together as the settings ask for."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from fastapi import APIRouter

from services.notify.page import renderer
from services.notify.settings import NotifySettings
from services.notify.sign_in import api, pages
from services.notify.sign_in.by_provider import pages as by_provider
from services.notify.sign_in.door import Door
from services.notify.sign_in.flow import SignIn
from services.notify.sign_in.keeping import pages as keeping
from services.notify.sign_in.oidc import Provider
from services.notify.sign_in.own import pages as own
from services.notify.sign_in.provider import parse_roles
from services.notify.sign_in.proving import Desk
from services.notify.sign_in.record import pages as record
from services.notify.sign_in.secret_box import box_of
from shared.access.opening import outbound_of
from shared.audit.denials import Denials
from shared.origin import host_name
from shared.outbound import Outbound
from shared.postgres import Pool


def sign_in_routes(settings: NotifySettings, pool: Pool, door: Door) -> Iterator[APIRouter]:
    """All pages of signing in and of accounts, and what our own services ask."""
    desk = Desk(pool, box_of(settings.account_key), Denials(pool), required=not settings.sandbox)
    render = renderer(base=door.base, sandbox=settings.sandbox)
    provider = provider_of(settings)
    context = SignIn(door, desk, render, settings.public_url, provider, UUID(settings.oidc_tenant))
    if provider is not None:
        yield by_provider.routes(context, provider)
    yield pages.routes(context)
    yield own.routes(context)
    yield keeping.routes(context)
    yield record.routes(context)
    yield api.routes(door)


def provider_of(settings: NotifySettings) -> Provider | None:
    """The identity provider of the settings. Its own host is asked besides those of SURAL_OUTBOUND_HOSTS."""
    if not settings.oidc_issuer:
        return None
    secret = settings.oidc_client_secret
    return Provider(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=secret.get_secret_value() if secret else None,
        scope=settings.oidc_scope,
        redirect_uri=f"{settings.public_url.rstrip('/')}/worklist/sign-in/back",
        roles=parse_roles(settings.oidc_roles),
        roles_claim=settings.oidc_roles_claim,
        person_claim=settings.oidc_person_claim,
        outbound=Outbound(outbound_of(settings).hosts | {host_name(settings.oidc_issuer)}, sandbox=settings.sandbox),
    )
