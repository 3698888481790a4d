"""More than three hundred bodies that no service may take: each must be refused with 4xx, quickly and in little memory.

Half of them are damages to a sound response in every kind of place; the others are made by hand, after what has brought
parsers down elsewhere. Nothing is random: the same list each time.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deploy.local.malformed_content import heavy_contents, wrong_contents
from deploy.local.malformed_elsewhere import wrong_bundles, wrong_questionnaires

EXAMPLE: Final = Path(__file__).resolve().parents[2] / "examples" / "page-1-chest-pain.json"
FHIR: Final = {"Content-Type": "application/fhir+json"}
MIB: Final = 1024 * 1024
TRUNCATIONS: Final = 60
WRONG: Final[tuple[object, ...]] = (None, [], {}, "", 7, [[]])


@dataclass(frozen=True, slots=True)
class Input:
    """One request. `family` groups those that do the same kind of harm."""

    family: str
    name: str
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: FHIR)
    path: str = "/fhir/QuestionnaireResponse"
    method: str = "POST"


def malformed_inputs() -> list[Input]:
    """All of them, each name once."""
    response = json.loads(EXAMPLE.read_bytes())
    body = json.dumps(response).encode()
    made: list[Input] = []
    for family, pairs in (
        ("truncated", _truncated(body)),
        ("damaged", _damaged(response)),
        ("syntax", _syntax(body)),
        ("encoding", _encodings(body)),
        ("numbers", _numbers()),
        ("names", _names(response, body)),
        ("size and depth", _large()),
        ("content", ((name, written(each)) for name, each in wrong_contents(response))),
        ("heavy content", ((name, written(each)) for name, each in heavy_contents(response))),
    ):
        made += (Input(family, name, each) for name, each in pairs)
    return [*made, *_over_http(body), *_elsewhere(response, body)]


def written(content: object) -> bytes:
    """Compact JSON, as large as it may be."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _truncated(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Cut after each kind of token, and at even distances."""
    for token in ("{", '{"', "resourceType", '":', ": ", '": "', ",", "[", '"valueCoding": {', "true", '"Y', "}", "]"):
        end = body.find(token.encode()) + len(token)
        yield f"after {token}", body[:end] if end >= len(token) else body[:-2]
    for number in range(1, TRUNCATIONS):
        end = len(body) * number // TRUNCATIONS
        yield f"at {end}", body[:end]
    yield "without its last byte", body[:-1]


def _damaged(response: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Each element of the head and of two items: gone empty, or of another JSON type."""
    small = {**response, "item": [{**response["item"][0], "item": response["item"][0]["item"][:2]}]}
    paths = sorted(_paths(small), key=str)
    for path in paths:
        kept = _at(small, path)
        for wrong in WRONG:
            if type(wrong) is type(kept) and wrong:
                continue
            changed = deepcopy(small)
            _at(changed, path[:-1])[path[-1]] = wrong
            yield f"{json.dumps(wrong)} at {'.'.join(map(str, path))}", written(changed)


def _paths(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*path, key)
        yield from _paths(inner, (*path, key))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _syntax(body: bytes) -> Iterator[tuple[str, bytes]]:
    yield from {
        "nothing": b"",
        "spaces": b" \n\t " * 1000,
        "null": b"null",
        "true": b"true",
        "a number": b"7",
        "a string": b'"QuestionnaireResponse"',
        "an array": b"[" + body + b"]",
        "an empty object": b"{}",
        "XML": b'<QuestionnaireResponse xmlns="http://hl7.org/fhir"><status value="stopped"/></QuestionnaireResponse>',
        "a form": b"resourceType=QuestionnaireResponse&status=completed",
        "two resources": body + body,
        "newline-delimited": body + b"\n" + body,
        "text after it": body + b"x",
        "NUL after it": body + b"\x00",
        "NUL before it": b"\x00" + body,
        "a comma too many": body[:-1] + b",}",
        "a comment": b"/* a */" + body,
        "single quotes": body.replace(b'"', b"'"),
        "names without quotes": body.replace(b'"status"', b"status"),
        "NaN": body.replace(b'"in-progress"', b"NaN"),
        "Infinity": body.replace(b'"in-progress"', b"-Infinity"),
        "undefined": body.replace(b'"in-progress"', b"undefined"),
        "True": body.replace(b'"in-progress"', b"True"),
        "a tab in a string": body.replace(b"in-progress", b"in\tprogress"),
        "NUL in a string": body.replace(b"in-progress", b"in\x00progress"),
        "escape of nothing": body.replace(b"in-progress", b"in\\qprogress"),
        "half an escape": body.replace(b"in-progress", b"in\\u00"),
        "a closing bracket for a brace": body[:-1] + b"]",
    }.items()


def _encodings(body: bytes) -> Iterator[tuple[str, bytes]]:
    text = body.decode()
    yield "byte order mark", b"\xef\xbb\xbf" + body
    for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037"):
        yield name, ("+" + text if name == "utf-7" else text).encode(name)
    yield from {
        "latin-1": body.replace(b"Test", b"Andr\xe9"),
        "overlong slash": body.replace(b"Test", b"\xc0\xaf"),
        "overlong NUL": body.replace(b"Test", b"\xc0\x80"),
        "surrogate as UTF-8": body.replace(b"Test", b"\xed\xa0\x80"),
        "beyond Unicode": body.replace(b"Test", b"\xf4\x90\x80\x80"),
        "a cut character": body.replace(b"Test", b"\xe2\x82"),
        "a stray continuation": body.replace(b"Test", b"\x80"),
        "only 0xff": b"\xff" * 4096,
        "half a surrogate pair": body.replace(b"Test", b"\\ud83d"),
        "the other half": body.replace(b"Test", b"\\udc00"),
        "halves in the wrong order": body.replace(b"Test", b"\\udc00\\ud83d"),
        "escaped NUL": body.replace(b"Test", b"\\u0000"),
        "escaped bell": body.replace(b"Test", b"\\u0007"),
        "escaped backspace": body.replace(b"Test", b"\\b"),
        "escaped NUL in a name": body.replace(b'"status"', b'"sta\\u0000tus"'),
        "many half pairs": body.replace(b"Test", b"\\ud83d" * 10000),
        "many escaped NULs": body.replace(b"Test", b"\\u0000" * 10000),
    }.items()


def _numbers() -> Iterator[tuple[str, bytes]]:
    numbers = {
        "1e999999": "1e999999",
        "-1e999999": "-1e999999",
        "1e-999999": "1e-999999",
        "1e9999999999999999999": "1e9999999999999999999",
        "a million digits": "9" * 1_000_000,
        "a million digits after the point": "0." + "1" * 1_000_000,
        "5,000 digits": "7" * 5000,
        "65 digits": "7" * 65,
        "64 zeros and a one": "0." + "0" * 64 + "1",
        "a leading zero": "036",
        "a plus": "+36",
        "no digit after the point": "36.",
        "no digit before it": ".6",
        "an empty exponent": "36e",
        "two points": "3.6.0",
        "hexadecimal": "0x24",
        "two signs": "--36",
        "Arabic digits": "\u0663\u0666",
        "a decimal comma": "36,6",
        "a fraction": "36/10",
    }
    for name, number in numbers.items():
        answer = f'{{"valueDecimal": {number}}}'
        yield name, _with_answer(answer)
    yield "100,000 exponents", _with_answer('{"valueDecimal": 1}, ' + ", ".join(["1e999"] * 100_000))
    yield "100,000 fractions", _with_answer('{"valueDecimal": 1}, ' + ", ".join(["1.10"] * 100_000))


def _with_answer(answer: str) -> bytes:
    item = f'{{"linkId": "age_years", "answer": [{answer}]}}'
    return f'{{"resourceType": "QuestionnaireResponse", "status": "completed", "item": [{item}]}}'.encode()


def _names(response: dict[str, Any], body: bytes) -> Iterator[tuple[str, bytes]]:
    """The same name twice in one object, where it is easy and where it is hard to see."""
    for name in response:
        twice = json.dumps({name: response[name]})[1:-1].encode()
        yield f"{name} twice", b"{" + twice + b"," + body[1:]
    yield from {
        "status twice, in other letters": body[:-1] + b',"st\\u0061tus":"completed"}',
        "status twice, with spaces": body[:-1] + b',"status" \n\t :"completed"}',
        "a code twice": body.replace(b'"code": "', b'"code": "N", "code": "', 1),
        "a value twice": body.replace(b'"linkId": "', b'"linkId": "x", "linkId": "', 1),
        "deep inside": _with_answer('{"valueCoding": {"code": "a", "code": "b"}}'),
        "in an unknown element": body[:-1] + b',"zzz":{"a":1,"a":2}}',
        "50,000 times": b'{"resourceType":"QuestionnaireResponse"' + b',"status":"completed"' * 45_000 + b"}",
        "20,000 names, one of them twice": b"{"
        + b",".join(b'"n%d":1' % number for number in range(20_000))
        + b',"n7":2}',
        "an empty name": body[:-1] + b',"":1}',
        "a name of 60,000 characters": body[:-1] + b',"' + b"n" * 60_000 + b'":1}',
        "__proto__": body[:-1] + b',"__proto__":{"status":"completed"}}',
        "50,000 unknown names": body[:-1] + b"," + b",".join(b'"z%d":1' % number for number in range(50_000)) + b"}",
    }.items()


def _large() -> Iterator[tuple[str, bytes]]:
    deep, head = 100_000, b'{"resourceType":"QuestionnaireResponse",'
    item, response = b'{"linkId":"a","item":[', b'{"resourceType":"QuestionnaireResponse","status":"completed","item":['
    yield from {
        "100,000 open arrays": b"[" * deep,
        "100,000 arrays": b"[" * deep + b"]" * deep,
        "100,000 open objects": b'{"a":' * deep,
        "100,000 objects": b'{"a":' * deep + b"1" + b"}" * deep,
        "20,000 nested items": response + item * 20_000 + b"]}" * 20_000 + b"]}",
        "50 nested items": response + item * 50 + b'{"linkId":"b"}' + b"]}" * 50 + b"]}",
        "60 nested extensions": response[:-8]
        + b'"extension":[{"url":"urn:x"'
        + b',"extension":[{"url":"urn:x"' * 60
        + b"}]" * 61
        + b"}",
        "alternating arrays and objects": b'[{"a":' * 50_000,
        "101 levels": head + b'"a":' + b"[" * 100 + b"]" * 100 + b"}",
        "102 levels of a twice-named member": b'{"resourceType":"QuestionnaireResponse","a":'
        + b"[" * 5_000
        + b"]" * 5_000
        + b',"a":1}',
        "2,001 items": response + b",".join([b'{"linkId":"pain"}'] * 2_001) + b"]}",
        "40,000 items": response + b",".join([b'{"linkId":"a"}'] * 40_000) + b"]}",
        "500,000 empty arrays": b'{"resourceType":"QuestionnaireResponse","item":['
        + b",".join([b"[]"] * 300_000)
        + b"]}",
        "300,000 empty objects": b'{"resourceType":"QuestionnaireResponse","item":['
        + b",".join([b"{}"] * 300_000)
        + b"]}",
        "500,000 nulls": head + b'"item":[' + b",".join([b"null"] * 200_000) + b"]}",
        "500,000 numbers": head + b'"item":[' + b"1," * 500_000 + b"1]}",
        "a string of 1 MB": head + b'"status":"' + b"a" * (MIB - 100) + b'"}',
        "a string of 65,537 characters": head + b'"status":"' + b"a" * 65_537 + b'"}',
        "one byte more than 1 MiB": b'{"resourceType":"QuestionnaireResponse","status":"completed"}'.ljust(MIB + 1),
        "10 MiB": b" " * (10 * MIB),
        "1 MB of quotes": b'"' * 1_000_000,
        "1 MB of backslashes": b'{"resourceType":"' + b"\\" * 1_000_000 + b'"}',
        "1 MB of colons": b'{"a"' + b":" * 1_000_000,
        "1 MB of spaces before a colon": b'{"resourceType"' + b" " * 1_000_000 + b':"QuestionnaireResponse"}',
    }.items()


def _elsewhere(response: dict[str, Any], body: bytes) -> Iterator[Input]:
    """The other addresses: content of their own, and what no reader of JSON likes."""
    for name, each in wrong_bundles(response):
        yield Input("bundle", name, written(each), path="/fhir")
    for name, each in wrong_questionnaires():
        yield Input("questionnaire", name, written(each), path="/fhir/Questionnaire")
    for name, hostile in (
        ("nothing", b""),
        ("cut", body[:-9]),
        ("not UTF-8", b"\xff" * 99),
        ("100,000 open arrays", b"[" * 100_000),
        ("a name twice", body[:-1] + b',"status":"completed"}'),
        ("more than 1 MiB", b" " * (MIB + 1)),
    ):
        yield Input("bundle", name, hostile, path="/fhir")
        yield Input("questionnaire", name, hostile, path="/fhir/Questionnaire")
        yield Input("update", name, hostile, path="/fhir/QuestionnaireResponse/4711", method="PUT")
        yield Input("operation", name, hostile, path="/fhir/Questionnaire/$process-response")
    yield Input("update", "another id", body, path="/fhir/QuestionnaireResponse/4711", method="PUT")
    yield Input("update", "an id that is none", body, path="/fhir/QuestionnaireResponse/a_b", method="PUT")


def _over_http(body: bytes) -> Iterator[Input]:
    """The body may be sound: its packing is not."""
    types = {
        "text": "text/plain",
        "XML": "application/xml",
        "FHIR XML": "application/fhir+xml",
        "Turtle": "application/fhir+turtle",
        "a form": "application/x-www-form-urlencoded",
        "multipart": "multipart/form-data; boundary=x",
        "a patch": "application/json-patch+json",
        "bytes": "application/octet-stream",
        "nonsense": "fhir",
        "only a semicolon": ";",
        "a very long type": "application/" + "x" * 5_000,
        "R5": "application/fhir+json; fhirVersion=5.0",
        "DSTU2": "application/fhir+json; fhirVersion=1.0",
    }
    for name, media_type in types.items():
        yield Input("content type", name, body, {"Content-Type": media_type})
    yield Input("content type", "none", body, {})
    bomb = gzip.compress(b" " * (20 * MIB))
    for name, coding, packed in (
        ("gzip of nonsense", "gzip", b"not gzip"),
        ("gzip, cut", "gzip", gzip.compress(body)[:-12]),
        ("gzip of 20 MiB", "gzip", bomb),
        ("gzip in gzip", "gzip, gzip", gzip.compress(gzip.compress(b" " * MIB))),
        ("deflate", "deflate", zlib.compress(b"{")),
        ("brotli", "br", b"\x0b\x02\x80\x03"),
        ("an unknown coding", "rot13", body),
    ):
        yield Input("content encoding", name, packed, {**FHIR, "Content-Encoding": coding})
    yield Input("content encoding", "gzip that is not said", gzip.compress(body))
    for name, header in {
        "If-None-Exist without identifier": "name=a",
        "If-None-Exist with two": "identifier=a|b&identifier=c|d",
        "If-None-Exist that is empty": "",
        "If-None-Exist of 5,000 characters": "identifier=a|" + "b" * 5_000,
    }.items():
        yield Input("condition", name, body, {**FHIR, "If-None-Exist": header})
    yield Input("address", "unknown type", body, path="/fhir/QuestionaireResponse")
    yield Input("address", "id of a create", body, path="/fhir/QuestionnaireResponse/4711")
