"""The page /docs: every address of the base in words, each with a line for curl. Made from the OpenAPI description.

One page of text without scripts and without anything from elsewhere; the policy that goes with it allows nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;color:#1b1b1b;background:#fff}"
    "h1,h2{line-height:1.2}h2{margin-top:2.5rem;border-bottom:1px solid #bbb}"
    "article{margin:1rem 0}h3{font:inherit;margin:0}b{display:inline-block;min-width:3.5rem}"
    "pre{background:#f2f2f2;padding:.5rem;overflow-x:auto;margin:.25rem 0}small{color:#444}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}
FILES: Final = {"QuestionnaireResponse": "questionnaire-response.json", "Bundle": "bundle.json"}


def docs_page(description: Mapping[str, Any], *, signed_in: bool) -> str:
    """The page as HTML. `signed_in`: requests need a token, and the lines for curl send one."""
    base = description["servers"][0]["url"]
    token = ' -H "Authorization: Bearer $TOKEN"' if signed_in else ""
    sections = "".join(_section(description, tag["name"], base, token) for tag in description["tags"])
    info = description["info"]
    sign_in = (
        "<p>Requests need an access token (SMART Backend Services): "
        f'<a href="{escape(base)}/.well-known/smart-configuration">where it comes from</a>.</p>'
        if signed_in
        else "<p>This is a sandbox: no token is asked for.</p>"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}: addresses</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])}</h1><p>{escape(info['description'])}</p>"
        f"<p>FHIR R4 (4.0.1) at <code>{escape(base)}/fhir</code>, JSON only. Every error is an OperationOutcome. "
        f'The same for programs: <a href="/openapi.json">OpenAPI</a>, <a href="/fhir/metadata">CapabilityStatement</a>.'
        f"</p>{sign_in}{sections}</body></html>\n"
    )


def _section(description: Mapping[str, Any], tag: str, base: str, token: str) -> str:
    articles = [
        _article(method, path, operation, base, token if path.startswith("/fhir") else "")
        for path, method, operation in _operations(description)
        if operation["tags"] == [tag]
    ]
    return f"<section><h2>{escape(tag)}</h2>{''.join(articles)}</section>" if articles else ""


def _operations(description: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _article(method: str, path: str, operation: Mapping[str, Any], base: str, token: str) -> str:
    named = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
    parameters = f"<br><small>{escape(', '.join(named))}</small>" if named else ""
    return (
        f"<article><h3><b>{method.upper()}</b> <code>{escape(path)}</code> {escape(operation['summary'])}{parameters}"
        f"</h3><pre>{escape(curl_line(method, path, operation, base, token))}</pre></article>"
    )


def curl_line(method: str, path: str, operation: Mapping[str, Any], base: str, token: str) -> str:
    """A command that asks this address; {id} stands for an id."""
    line = f"curl -s{token} '{base}{path}'"
    if "requestBody" not in operation:
        return line
    content = operation["requestBody"]["content"]["application/fhir+json"]["schema"].get("$ref", "")
    name = content.rpartition("/")[2] or "Parameters"
    file = FILES.get(name, f"{name.lower()}.json")
    matching = " -H 'If-Match: W/\"1\"'" if method == "put" else ""
    return f"{line} -X {method.upper()}{matching} -H 'Content-Type: application/fhir+json' --data-binary @{file}"
