"""Under which name somebody acts: that of their account; in the sandbox, where nobody signs in, the one they typed."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from starlette.responses import Response

from services.notify.acts.actor import NAME_LENGTH, Actor
from services.notify.sign_in.visitor import Visitor
from services.notify.worklist.pages import NAME_COOKIE, SHIFT_S


def actor_of(visitor: Visitor, typed: Mapping[str, str]) -> Actor:
    """The visitor as somebody who acts on this page; the name is not checked yet (`Actor.checked`)."""
    return Actor(visitor.name or typed.get("name", ""), visitor.person, "page")


def remembered(answer: Response, typed: Mapping[str, str], *, base: str, https: bool) -> Response:
    """The answer, with the typed name for the next form of this shift, as the worklist remembers it."""
    answer.set_cookie(
        NAME_COOKIE,
        quote(typed.get("name", "").strip()[:NAME_LENGTH]),
        max_age=SHIFT_S,
        path=f"{base}/worklist",
        secure=https,
        httponly=True,
        samesite="strict",
    )
    return answer
