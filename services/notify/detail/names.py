"""Under which name somebody acts: that of their account; in the sandbox, where nobody signs in, the one they typed."""

from __future__ import annotations

from services.notify.sign_in.visitor import Visitor
from shared.problems import Category, Problem, ProblemError

LONGEST = 120


def name_of(visitor: Visitor, typed: str) -> str:
    """The name that is kept. Raises ProblemError 422 when there is none, or none that can be shown."""
    name = " ".join((visitor.name or typed).split())
    if not name or len(name) > LONGEST or not name.isprintable():
        message = f"Give your name, 1 to {LONGEST} characters."
        raise ProblemError(Problem(Category.UNPROCESSABLE, "person", message, issue_code="required"))
    return name
