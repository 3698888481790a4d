"""The posts: a sound response under a new identifier each time, and four damaged ones that say what a server checks."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

MARK: Final = "@@@@@@@@@@@@@@@@"
NO_SUCH_QUESTION: Final = "no-such-question"

Response = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Posts:
    """A response as bytes before and after the value of its identifier."""

    before: bytes
    after: bytes

    @classmethod
    def of(cls, body: bytes) -> Self:
        """Posts that differ in the identifier only. The body is a QuestionnaireResponse."""
        response = orjson.loads(body)
        response["identifier"] = {"system": "https://peers.example/forms", "value": MARK}
        before, _, after = orjson.dumps(response).partition(MARK.encode())
        return cls(before, after)

    def fresh(self) -> bytes:
        """One that was never posted before."""
        return self.before + secrets.token_hex(8).encode() + self.after

    def damaged(self) -> dict[str, bytes]:
        """By what is wrong: the response with exactly that fault."""
        return {name: orjson.dumps(damage(orjson.loads(self.fresh()))) for name, damage in DAMAGES.items()}


def _extra_field(response: Response) -> Response:
    return {**response, "colour": "red"}


def _status(response: Response) -> Response:
    return {**response, "status": "banana"}


def _without_link_id(response: Response) -> Response:
    first, *others = response["item"]
    return {**response, "item": [{name: value for name, value in first.items() if name != "linkId"}, *others]}


def _unknown_link_id(response: Response) -> Response:
    return {**response, "item": [*response["item"], {"linkId": NO_SUCH_QUESTION, "answer": [{"valueBoolean": True}]}]}


DAMAGES: Final[Mapping[str, Callable[[Response], Response]]] = {
    "extra field": _extra_field,
    "status outside the value set": _status,
    "linkId missing": _without_link_id,
    "unknown linkId": _unknown_link_id,
}
