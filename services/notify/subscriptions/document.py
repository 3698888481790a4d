"""What a Subscription asks for, and how it is kept and given back. Pure.

R4 subscription.html with the profile backport-subscription of Subscriptions R5 Backport 1.1.0
(https://hl7.org/fhir/uv/subscriptions-backport/). What is not offered is refused with what is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from services.notify.subscriptions.filters import Filter, FilterError, read_filter
from services.notify.subscriptions.topics import TOPICS, Topic, topic_of
from shared.fhir.codes import SID_CLIENT
from shared.fhir.identity import instant
from shared.problems import Category, Problem, ProblemError

Resource = dict[str, Any]

BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport"
PROFILE: Final = f"{BACKPORT}/StructureDefinition/backport-subscription"
EXT_FILTER: Final = f"{BACKPORT}/StructureDefinition/backport-filter-criteria"
EXT_CONTENT: Final = f"{BACKPORT}/StructureDefinition/backport-payload-content"
EXT_HEARTBEAT: Final = f"{BACKPORT}/StructureDefinition/backport-heartbeat-period"
EXT_TIMEOUT: Final = f"{BACKPORT}/StructureDefinition/backport-timeout"
EXT_MAX_COUNT: Final = f"{BACKPORT}/StructureDefinition/backport-max-count"
EXT_CHANNEL: Final = f"{BACKPORT}/StructureDefinition/backport-channel-type"

EMPTY, ID_ONLY, FULL = "empty", "id-only", "full-resource"
CONTENTS: Final = (EMPTY, ID_ONLY, FULL)
REQUESTED, ACTIVE, ERROR, OFF, DELETED = "requested", "active", "error", "off", "deleted"
PAYLOAD: Final = "application/fhir+json"
SHORTEST_HEARTBEAT_S: Final = 10
LONGEST_TIMEOUT_S: Final = 10
MOST_AT_ONCE: Final = 100
USUAL_AT_ONCE: Final = 20
MOST_HEADERS: Final = 20
MOST_YEARS: Final = 9999
HIDDEN: Final = "***"
"""Given back in place of a header's value; sent with it, the value stays as it is."""
_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]{0,3998}[\x21-\x7e])?)")
_OURS = frozenset(
    {
        *("accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host"),
        *("keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        "user-agent",
    }
)
"""Headers that belong to the connection, or that we say ourselves."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a subscriber asks for. `headers` are "Name: value"; a value may be HIDDEN. `status` is as it was sent."""

    status: str
    topic: Topic
    filters: tuple[Filter, ...]
    endpoint: str
    headers: tuple[str, ...]
    content: str
    heartbeat_s: int | None
    timeout_s: int
    max_count: int
    ends_at: datetime | None


def read_subscription(resource: Mapping[str, Any]) -> Wanted:
    """What a structurally sound Subscription asks for. Raises ProblemError with everything that is not offered."""
    problems: list[Problem] = []
    channel = resource["channel"]
    topic = topic_of(resource["criteria"])
    if topic is None:
        offered = " and ".join(each.url for each in TOPICS.values())
        problems.append(
            _problem("criteria", f"'criteria' must be the canonical of a topic that is offered here: {offered}.")
        )
    problems += _channel_problems(channel)
    filters: list[Filter] = []
    for text in _values(resource.get("_criteria"), EXT_FILTER, "valueString", problems, "criteria"):
        try:
            filters += read_filter(text, topic) if topic else []
        except FilterError as error:
            problems.append(_problem("criteria", f"backport-filter-criteria cannot be taken: {error}."))
    content = _one(channel.get("_payload"), EXT_CONTENT, "valueCode", problems, "channel.payload", ID_ONLY)
    if content not in CONTENTS:
        problems.append(_problem("channel.payload", f"backport-payload-content must be one of {', '.join(CONTENTS)}."))
    if content == FULL and not str(channel.get("endpoint", "")).startswith("https://"):
        problems.append(
            _problem(
                "channel.endpoint", "full-resource is sent to https:// only. Use id-only, or an endpoint with TLS."
            )
        )
    if "contained" in resource:
        problems.append(_problem("contained", "Contained resources have no meaning here; leave them out."))
    try:
        ends_at = _end(resource)
    except ValueError:
        problems.append(_problem("end", "'end' is no time that can be kept; give one before the year 9999."))
    heartbeat = _one(channel, EXT_HEARTBEAT, "valueUnsignedInt", problems, "channel", 0)
    timeout = _one(channel, EXT_TIMEOUT, "valueUnsignedInt", problems, "channel", LONGEST_TIMEOUT_S)
    most = _one(channel, EXT_MAX_COUNT, "valuePositiveInt", problems, "channel", USUAL_AT_ONCE)
    if problems:
        raise ProblemError(problems)
    assert topic is not None
    return Wanted(
        status=resource["status"],
        topic=topic,
        filters=tuple(filters),
        endpoint=channel["endpoint"],
        headers=tuple(channel.get("header", ())),
        content=content,
        heartbeat_s=max(heartbeat, SHORTEST_HEARTBEAT_S) if heartbeat else None,
        timeout_s=min(max(timeout, 1), LONGEST_TIMEOUT_S),
        max_count=min(most, MOST_AT_ONCE),
        ends_at=ends_at,
    )


def _end(resource: Mapping[str, Any]) -> datetime | None:
    """When it ends, or None. Raises ValueError for a leap second, and for a time that no database keeps."""
    if "end" not in resource:
        return None
    end = datetime.fromisoformat(resource["end"])
    if not 1 < end.year < MOST_YEARS:
        raise ValueError
    return end


def _channel_problems(channel: Mapping[str, Any]) -> Iterator[Problem]:
    if channel["type"] != "rest-hook" or list(_extensions(channel.get("_type"), EXT_CHANNEL)):
        yield _problem(
            "channel.type",
            "Only the channel rest-hook is offered (an HTTP POST to your endpoint), without backport-channel-type.",
        )
    if "endpoint" not in channel:
        yield _problem("channel.endpoint", "'endpoint' is missing: give the address that notifications are posted to.")
    payload = "".join(str(channel.get("payload", PAYLOAD)).split()).lower()
    if payload not in (PAYLOAD, f"{PAYLOAD};fhirversion=4.0"):
        yield _problem("channel.payload", f"Only the payload {PAYLOAD} is offered.")
    headers = channel.get("header", ())
    if len(headers) > MOST_HEADERS:
        yield _problem("channel.header", f"More than {MOST_HEADERS} headers; give fewer.")
    for at, header in enumerate(headers):
        match = _HEADER.fullmatch(header) if isinstance(header, str) else None
        if match is None:
            yield _problem(f"channel.header[{at}]", "A header is one line of ASCII, Name: value.")
        elif match[1].lower() in _OURS:
            yield _problem(f"channel.header[{at}]", f"The header {match[1]} is ours to set; leave it out.")


def _extensions(holder: Any, url: str) -> Iterator[Mapping[str, Any]]:
    for extension in holder.get("extension", ()) if isinstance(holder, Mapping) else ():
        if extension.get("url") == url:
            yield extension


def _values(holder: Any, url: str, name: str, problems: list[Problem], place: str) -> Iterator[Any]:
    for extension in _extensions(holder, url):
        if name in extension:
            yield extension[name]
        else:
            problems.append(_problem(place, f"{url.rpartition('/')[2]} must have a {name}."))


def _one(holder: Any, url: str, name: str, problems: list[Problem], place: str, otherwise: Any) -> Any:
    found = list(_values(holder, url, name, problems, place))
    if len(found) > 1:
        problems.append(_problem(place, f"{url.rpartition('/')[2]} is given more than once; give it once."))
    return found[0] if found else otherwise


def _problem(place: str, message: str) -> Problem:
    return Problem(
        Category.UNPROCESSABLE,
        "subscription-not-offered",
        message,
        expression=f"Subscription.{place}",
        issue_code="not-supported",
    )


def header_parts(header: str) -> tuple[str, str]:
    """Name and value of a header that was found sound."""
    name, _, value = header.partition(":")
    return name, value.strip()


def with_secrets(headers: tuple[str, ...], kept: tuple[str, ...]) -> tuple[str, ...]:
    """Headers as they are to be sent: a value that was given back as HIDDEN is the one that was kept.

    Raises ProblemError where none was.
    """
    known = {name.lower(): value for name, value in map(header_parts, kept)}
    full = []
    for at, header in enumerate(headers):
        name, value = header_parts(header)
        if value == HIDDEN and (value := known.get(name.lower(), "")) == "":
            raise ProblemError(_problem(f"channel.header[{at}]", f"The header {name} has no value yet; send one."))
        full.append(f"{name}: {value}")
    return tuple(full)


def as_kept(
    sent: Mapping[str, Any],
    *,
    subscription_id: str,
    client: str,
    status: str,
    version: int,
    now: datetime,
    error: str | None = None,
) -> Resource:
    """The Subscription as it is stored and given back: with our id, status and owner, and no value of a header."""
    channel = dict(sent["channel"])
    channel["payload"] = PAYLOAD
    if not list(_extensions(channel.get("_payload"), EXT_CONTENT)):
        held = dict(channel.get("_payload", {}))
        held["extension"] = [*held.get("extension", ()), {"url": EXT_CONTENT, "valueCode": ID_ONLY}]
        channel["_payload"] = held
    if "header" in channel:
        channel.pop("_header", None)
        channel["header"] = [f"{header_parts(header)[0]}: {HIDDEN}" for header in channel["header"]]
    rest = {name: value for name, value in sent.items() if name not in ("id", "meta", "status", "error", "channel")}
    kept = {**rest, "id": subscription_id, "meta": _meta(sent.get("meta", {}), client, version, now)}
    return {**kept, "status": status, **({"error": error} if error else {}), "channel": channel}


def _meta(sent: Mapping[str, Any], client: str, version: int, now: datetime) -> Resource:
    sent = {name: value for name, value in sent.items() if name != "_profile"}
    profiles = dict.fromkeys(filter(None, (*sent.get("profile", ()), PROFILE)))
    tags = [tag for tag in sent.get("tag", ()) if tag.get("system") != SID_CLIENT]
    return {
        **sent,
        "versionId": str(version),
        "lastUpdated": instant(now),
        "profile": list(profiles),
        "tag": [{"system": SID_CLIENT, "code": client}, *tags],
    }
