"""A batch or transaction Bundle read strictly: what each entry asks, with its resource as the bytes that came.

https://hl7.org/fhir/R4/http.html#transaction. The Bundle itself must be sound. The resources in it are judged where
each entry is carried out, so that in a batch one wrong entry does not refuse the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NoReturn
from urllib.parse import unquote

from services.intake.entry_links import with_links
from services.intake.raw_parts import elements, members, type_of
from shared.fhir.parse import parse_resource
from shared.fhir.search import RESOURCE_ID
from shared.fhir.strict_json import read_json
from shared.problems import Category, Problem, ProblemError

MOST_ENTRIES: Final = 100
ORDER: Final = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
"""In a transaction entries are carried out by method in this order, whatever their order in the Bundle."""

_CONDITIONS: Final = {
    "ifMatch": "if-match",
    "ifNoneMatch": "if-none-match",
    "ifNoneExist": "if-none-exist",
    "ifModifiedSince": "if-modified-since",
}
_PATH = re.compile(r"[A-Za-z0-9$_.\-]+(/[A-Za-z0-9$_.\-]+)*")


@dataclass(frozen=True, slots=True)
class Entry:
    """One request. `path` is below the base, decoded; `query` as it came; `headers` are its conditions."""

    number: int
    method: str
    path: str
    query: str
    full_url: str
    resource: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The type that the address names."""
        return self.path.partition("/")[0]

    @property
    def writes(self) -> bool:
        """Whether this is a create, or an update of one resource by its id or by a query."""
        if self.path == self.type:
            return self.method in ("POST", "PUT")
        return self.method == "PUT" and RESOURCE_ID.fullmatch(self.path.removeprefix(f"{self.type}/")) is not None

    @property
    def place(self) -> str:
        """Where the entry stands, as FHIRPath."""
        return f"Bundle.entry[{self.number}]"


def read_bundle(body: bytes, *, base: str) -> tuple[str, list[Entry]]:
    """``batch`` or ``transaction``, and its entries in the order of the Bundle.

    Raises ProblemError: 400 for what is wrong outside the resources, 413 for too many entries, 422 for another Bundle.
    """
    bundle = _sound(body)
    kind = str(bundle["type"])
    if kind not in ("batch", "transaction"):
        _refuse(
            Category.UNPROCESSABLE,
            "bundle-type",
            f"Found a Bundle of type {kind}, expected batch or transaction. Send one of these.",
            "Bundle.type",
            issue_code="not-supported",
        )
    entries = bundle.get("entry", [])
    if len(entries) > MOST_ENTRIES:
        message = f"Found {len(entries)} entries, expected at most {MOST_ENTRIES}. Send several Bundles."
        _refuse(Category.TOO_LARGE, "too-large", message, "Bundle.entry", issue_code="too-costly")
    texts = elements(members(body).get("entry", b"[]"))
    return kind, [_entry(number, each, texts[number], base) for number, each in enumerate(entries)]


def moved(problem: Problem, entry: Entry) -> Problem:
    """The problem of a resource as one of the Bundle that holds it."""
    rest = re.sub(r"^[A-Za-z]+", "", problem.expression or "")
    return replace(problem, expression=f"{entry.place}.resource{rest}")


def _sound(body: bytes) -> dict[str, Any]:
    """The content of a Bundle whose resources were not looked at."""
    try:
        return parse_resource(body, resource_type="Bundle").resource
    except ProblemError as found:
        outside = [each for each in found.problems if not re.search(r"\.resource\b", each.expression or "")]
        if outside or found.http_status not in (400, 422):
            raise ProblemError(outside or found.problems) from None
    content = read_json(body)
    assert isinstance(content, dict)
    return content


def _entry(number: int, entry: Mapping[str, Any], text: bytes, base: str) -> Entry:
    request = entry.get("request")
    if not isinstance(request, Mapping):
        message = "The entry has no request. Send its method and url."
        _refuse(Category.INCORRECT, "bundle-request", message, f"Bundle.entry[{number}]", issue_code="required")
    url = str(request["url"]).removeprefix(f"{base}/").removeprefix("/")
    path, _, query = url.partition("?")
    path = unquote(path).removesuffix("/")
    if not _PATH.fullmatch(path) or not {".", ".."}.isdisjoint(path.split("/")):
        _refuse(
            Category.INCORRECT,
            "bundle-request",
            "The url of the request is no address below this base. Send one like QuestionnaireResponse/123.",
            f"Bundle.entry[{number}].request.url",
            issue_code="value",
        )
    return Entry(
        number=number,
        method=str(request["method"]),
        path=path,
        query=query,
        full_url=str(entry.get("fullUrl", "")),
        resource=members(text).get("resource"),
        headers={header: str(request[name]) for name, header in _CONDITIONS.items() if name in request},
    )


def resolved(entries: Sequence[Entry], targets: Mapping[str, str]) -> list[Entry]:
    """The entries with every link to an entry of the Bundle replaced. `targets`: fullUrl to `Type/id`."""
    return [
        entry if entry.resource is None else replace(entry, resource=with_links(entry.resource, targets))
        for entry in entries
    ]


def check_type(entry: Entry) -> None:
    """Raises ProblemError (400) when the resource is missing or of another type than the address."""
    if entry.resource is None or type_of(entry.resource) != entry.type:
        _refuse(
            Category.INCORRECT,
            "wrong-resource-type",
            "The entry has no resource, or one of another type than its url. Send the resource that the url names.",
            f"{entry.place}.resource",
            issue_code="value",
        )


def _refuse(category: Category, code: str, message: str, expression: str, *, issue_code: str) -> NoReturn:
    raise ProblemError(Problem(category, code, message, expression=expression, issue_code=issue_code))
