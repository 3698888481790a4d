"""The primitive data types of FHIR R4 4.0.1: what a JSON value must look like to be one.

https://hl7.org/fhir/R4/datatypes.html#primitive. Each check returns None for a good value, else a sentence
that says what was found and what is expected. No sentence repeats the value: it may be about a patient.
"""

from __future__ import annotations

import math
import re
from calendar import monthrange
from collections.abc import Callable
from decimal import Decimal
from html.entities import name2codepoint
from typing import Any
from xml.parsers import expat

Check = Callable[[Any], str | None]

_CODE = re.compile(r"\S+(?: \S+)*")
_MIME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+\-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+\-]*"
    r"(?: ?; ?[A-Za-z0-9!#$&^_.+\-]+=(?:[A-Za-z0-9!#$&^_.+\-]+|\"[^\"]*\"))*"
)
_CURRENCY = re.compile("[A-Z]{3}")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_NO_SPACE = re.compile(r"\S+")
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+")
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_DAY = r"([0-9]{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12][0-9]|3[01]))?)?"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"  # 60: a leap second
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_DATE = re.compile(_DAY)
_DATE_TIME = re.compile(rf"{_DAY}(T{_CLOCK}{_ZONE})?")
_TIME = re.compile(_CLOCK)

JSON_NAMES = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    Decimal: "a number with a fraction or an exponent",
    float: "a number with a fraction or an exponent",
    type(None): "null",
}


def found(value: object) -> str:
    """The JSON type of a value in words, for messages."""
    return JSON_NAMES.get(type(value), "something that is not JSON")


def _text(value: object) -> str | None:
    if type(value) is not str:
        return f"found {found(value)}, expected a string"
    if not value or value.isspace():
        return "the string is empty or only white space; leave the element out, or give it content"
    return None


def _matching(pattern: re.Pattern[str], expected: str) -> Check:
    def check(value: object) -> str | None:
        if type(value) is not str:
            return f"found {found(value)}, expected {expected}, as a string"
        return None if pattern.fullmatch(value) else f"the string is not {expected}"

    return check


def _boolean(value: object) -> str | None:
    return None if type(value) is bool else f"found {found(value)}, expected true or false without quotes"


def _whole(low: int, name: str) -> Check:
    high = 2**31 - 1
    expected = f"a whole number from {low} to {high} ({name}), without quotes, fraction or exponent"

    def check(value: object) -> str | None:
        if type(value) is not int:
            return f"found {found(value)}, expected {expected}"
        return None if low <= value <= high else f"the number is out of range; expected {expected}"

    return check


def _decimal(value: object) -> str | None:
    kind = type(value)
    if kind is int or (kind is Decimal and value.is_finite()) or (kind is float and math.isfinite(value)):  # type: ignore[attr-defined, arg-type]
        return None
    return f"found {found(value)}, expected a number without quotes"


def _is_day(match: re.Match[str]) -> bool:
    year, month, day = match.group(1, 2, 3)
    return year != "0000" and (day is None or int(day) <= monthrange(int(year), int(month))[1])


def _date(value: object) -> str | None:
    expected = "a date YYYY, YYYY-MM or YYYY-MM-DD that exists in the calendar"
    if type(value) is not str:
        return f"found {found(value)}, expected {expected}, as a string"
    match = _DATE.fullmatch(value)
    return None if match and _is_day(match) else f"the string is not {expected}"


def _date_time(value: object) -> str | None:
    expected = "a date, or a date and time YYYY-MM-DDThh:mm:ss with seconds and a time zone (Z or +hh:mm)"
    if type(value) is not str:
        return f"found {found(value)}, expected {expected}, as a string"
    match = _DATE_TIME.fullmatch(value)
    if match and _is_day(match) and (match[4] is None or match[3] is not None):
        return None
    return f"the string is not {expected}"


def _instant(value: object) -> str | None:
    expected = "an instant YYYY-MM-DDThh:mm:ss with seconds and a time zone (Z or +hh:mm)"
    if type(value) is not str:
        return f"found {found(value)}, expected {expected}, as a string"
    match = _DATE_TIME.fullmatch(value)
    return None if match and match[3] and match[4] and _is_day(match) else f"the string is not {expected}"


def _base64(value: object) -> str | None:
    if type(value) is not str:
        return f"found {found(value)}, expected base64, as a string"
    packed = "".join(value.split())
    if packed and len(packed) % 4 == 0 and _BASE64.fullmatch(packed):
        return None
    return "the string is not base64 (RFC 4648 section 4, padded with =)"


_XHTML_NAMESPACE = "http://www.w3.org/1999/xhtml"
_XHTML_ELEMENTS = re.compile(
    "a|abbr|acronym|address|area|b|bdo|big|blockquote|br|caption|cite|code|col|colgroup|dd|dfn|div|dl|dt|em|"
    "h[1-6]|hr|i|img|kbd|li|map|ol|p|pre|q|samp|small|span|strong|sub|sup|table|tbody|td|tfoot|th|thead|tr|tt|"
    "ul|var"
)
_XHTML_LINKS = frozenset(("href", "src", "cite", "longdesc", "background"))
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_XML_ENTITIES = frozenset(("amp", "lt", "gt", "quot", "apos"))


class _NotNarrative(Exception):
    """Carries the sentence that says why a div is not one."""


def _entity(match: re.Match[str]) -> str:
    name = match[1]
    if name in _XML_ENTITIES or name not in name2codepoint:
        return match[0]
    return f"&#{name2codepoint[name]};"


def xhtml(value: object) -> str | None:
    """A narrative `div`: well-formed, basic formatting only, no active content, not blank (txt-1, txt-2)."""
    if type(value) is not str:
        return f"found {found(value)}, expected an XHTML div, as a string"
    if "<!DOCTYPE" in value or "<!ENTITY" in value or "<?" in value:
        return "the XHTML has a document type, an entity or a processing instruction; send the div alone"
    content = False
    outermost = True

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal content, outermost
        if outermost and (name != "div" or attributes.get("xmlns", _XHTML_NAMESPACE) != _XHTML_NAMESPACE):
            raise _NotNarrative("the outermost XHTML element is not a div in the XHTML namespace")
        outermost = False
        if _XHTML_ELEMENTS.fullmatch(name) is None:
            raise _NotNarrative("the XHTML has an element other than basic formatting, lists, tables, links, images")
        for attribute, text in attributes.items():
            link = "".join(text.split()).lower() if attribute in _XHTML_LINKS else ""
            if attribute.startswith("on") or link.startswith(("javascript:", "vbscript:")):
                raise _NotNarrative("the XHTML has active content; remove event attributes and script links")
        content = content or name == "img"

    def characters(text: str) -> None:
        nonlocal content
        content = content or not text.isspace()

    parser = expat.ParserCreate("UTF-8")
    parser.StartElementHandler = start
    parser.CharacterDataHandler = characters
    try:
        parser.Parse(_ENTITY.sub(_entity, value).encode(), True)
    except _NotNarrative as reason:
        return str(reason)
    except (expat.ExpatError, UnicodeEncodeError):
        return "the string is not well-formed XHTML; send one div element"
    return None if content else "the div holds neither text nor an image; leave the narrative out, or fill it"


_uri = _matching(_NO_SPACE, "a URI: not empty and without white space")

PRIMITIVES: dict[str, Check] = {
    "base64Binary": _base64,
    "boolean": _boolean,
    "canonical": _uri,
    "code": _matching(_CODE, "a code: no white space but single blanks inside"),
    "code.currency": _matching(_CURRENCY, "a currency of ISO 4217: three capital letters"),
    "code.mime": _matching(_MIME, "a media type of BCP 13 such as image/png"),
    "date": _date,
    "dateTime": _date_time,
    "decimal": _decimal,
    "id": _matching(_ID, "an id: 1 to 64 letters A-Z or a-z, digits, hyphens and dots"),
    "instant": _instant,
    "integer": _whole(-(2**31), "integer"),
    "markdown": _text,
    "oid": _matching(_OID, "an OID such as urn:oid:1.2.3"),
    "positiveInt": _whole(1, "positiveInt"),
    "string": _text,
    "time": _matching(_TIME, "a time hh:mm:ss from 00:00:00 to 23:59:59, without a zone"),
    "unsignedInt": _whole(0, "unsignedInt"),
    "uri": _uri,
    "url": _uri,
    "uuid": _matching(_UUID, "a UUID such as urn:uuid: and 32 lower-case hexadecimal digits in five groups"),
    "xhtml": xhtml,
    "@id": _matching(_ID, "an id: 1 to 64 letters A-Z or a-z, digits, hyphens and dots"),
    "@string": _matching(_NO_SPACE, "an element id: not empty and without white space"),
    "@uri": _uri,
}
"""Name of a primitive type -> its check. `@` marks an XML attribute: in JSON it takes no `_` sibling. What stands
after a dot is the required value set of a code that has too many codes to list: its grammar is checked."""
