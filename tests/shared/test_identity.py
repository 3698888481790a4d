"""A stored resource comes back with our id and meta, and every other byte as it came."""

from __future__ import annotations

import gc
import hashlib
import json
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from shared.fhir.codes import EXT_CONTENT_SHA256
from shared.fhir.identity import as_received, instant, subset, top_level_members
from shared.fhir.resources import Stored

WHEN = datetime(2026, 11, 22, 7, 30, 12, 345000, tzinfo=UTC)


def stored(body: bytes) -> Stored:
    return Stored("QuestionnaireResponse", "r-1", 3, WHEN, body, hashlib.sha256(body).digest())


def test_decimals_order_and_white_space_come_back_as_they_were_sent() -> None:
    body = b'{ "resourceType" : "QuestionnaireResponse",\n "z": 1.500, "a": [ 1e2 ] }'

    shown = as_received(stored(body))

    assert shown.endswith(b'"resourceType" : "QuestionnaireResponse",\n "z": 1.500, "a": [ 1e2 ] }')
    assert json.loads(shown, parse_float=Decimal)["id"] == "r-1"


def test_the_senders_id_gives_way_to_ours_wherever_it_stood() -> None:
    for body in (
        b'{"id":"theirs","resourceType":"QuestionnaireResponse"}',
        b'{"resourceType":"QuestionnaireResponse","id":"theirs"}',
        b'{"resourceType":"QuestionnaireResponse", "id" : "theirs" , "status":"completed"}',
    ):
        shown = as_received(stored(body))

        assert json.loads(shown)["id"] == "r-1"
        assert shown.count(b'"id"') == 1


def test_an_id_inside_an_element_is_not_touched() -> None:
    body = b'{"resourceType":"QuestionnaireResponse","item":[{"id":"x1","linkId":"a"}]}'

    assert json.loads(as_received(stored(body)))["item"] == [{"id": "x1", "linkId": "a"}]


def test_the_senders_profile_and_tags_stay_and_version_and_time_are_ours() -> None:
    body = (
        b'{"resourceType":"QuestionnaireResponse","meta":{"versionId":"77","profile":["http://example.org/p"],'
        b'"extension":[{"url":"http://example.org/e","valueString":"{\\"}"}]}}'
    )

    meta = json.loads(as_received(stored(body)))["meta"]

    assert meta["profile"] == ["http://example.org/p"]
    assert (meta["versionId"], meta["lastUpdated"]) == ("3", "2026-11-22T07:30:12.345Z")
    assert [extension["url"] for extension in meta["extension"]] == ["http://example.org/e", EXT_CONTENT_SHA256]


def test_the_digest_is_that_of_the_bytes_received() -> None:
    body = b'{"resourceType":"QuestionnaireResponse"}'

    [digest] = json.loads(as_received(stored(body)))["meta"]["extension"]

    assert digest["valueString"] == hashlib.sha256(body).hexdigest()


def test_an_object_with_nothing_but_an_id_stays_valid_json() -> None:
    assert json.loads(as_received(stored(b'{"id":"x"}')))["id"] == "r-1"


@pytest.mark.parametrize("text", ["{", "}", '"', "\\", ",", ":", '\\"id\\":1'])
def test_strings_with_json_signs_do_not_confuse_the_cut(text: str) -> None:
    body = json.dumps({"note": text, "id": "theirs", "after": [text]}).encode()

    assert json.loads(as_received(stored(body))) | {"meta": {}} == {
        "id": "r-1",
        "meta": {},
        "note": text,
        "after": [text],
    }


def test_members_are_found_with_their_text() -> None:
    members = top_level_members(b'{"a": {"b": [1, 2]}, "c" : "x" ,"d":null}')

    assert {name: text for name, (_, text) in members.items()} == {"a": b'{"b": [1, 2]}', "c": b'"x"', "d": b"null"}


def test_a_subset_is_marked_as_one() -> None:
    whole = stored(b'{"resourceType":"QuestionnaireResponse","status":"completed","authored":"2026"}')

    part = json.loads(subset(whole, ("status",), as_received(whole)))

    assert part["status"] == "completed"
    assert "authored" not in part
    assert [tag["code"] for tag in part["meta"]["tag"]] == ["SUBSETTED"]


def test_an_instant_is_utc_with_milliseconds() -> None:
    assert instant(WHEN) == "2026-11-22T07:30:12.345Z"


@pytest.mark.parametrize("name", [b"\\u0069d", b"i\\u0064", b"\\u0069\\u0064"])
def test_an_id_written_with_escapes_gives_way_to_ours_too(name: bytes) -> None:
    body = b'{"resourceType":"QuestionnaireResponse","' + name + b'":"theirs","x":{"' + name + b'":1}}'

    shown = as_received(stored(body))

    assert [value for key, value in json.loads(shown, object_pairs_hook=list) if key == "id"] == ["r-1"]
    assert json.loads(shown)["x"] == {"id": 1}


@pytest.mark.parametrize("name", [b"\\u006deta", b"m\\u0065ta", b"me\\u0074a", b"met\\u0061"])
def test_meta_written_with_escapes_cannot_claim_a_version_or_an_urgency(name: bytes) -> None:
    body = b'{"' + name + b'":{"versionId":"77"},"resourceType":"QuestionnaireResponse"}'

    pairs = json.loads(as_received(stored(body)), object_pairs_hook=list)

    assert [dict(value)["versionId"] for key, value in pairs if key == "meta"] == ["3"]


def test_an_element_that_is_asked_for_twice_is_given_once() -> None:
    whole = stored(b'{"resourceType":"QuestionnaireResponse","status":"completed"}')

    part = subset(whole, ("status", "status"), as_received(whole))

    assert part.count(b'"status"') == 1


def test_id_and_meta_alone_are_given_without_the_body() -> None:
    assert json.loads(subset(stored(b""), ("id", "meta"), b""))["id"] == "r-1"


def test_the_cost_of_giving_an_id_does_not_grow_with_the_number_of_elements() -> None:
    """As many steps for a response with thousands of ids in it as for one with one."""
    body = json.dumps({"id": "theirs", "extension": [{"id": "e", "url": "http://x/y"}] * 20_000, "z": "é"}).encode()
    steps = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal steps
        steps += event in ("call", "c_call")

    gc.disable()  # who listens to it (Hypothesis does) would be counted
    sys.setprofile(count)
    try:
        members = top_level_members(body)
    finally:
        sys.setprofile(None)
        gc.enable()

    assert list(members) == ["id", "extension", "z"]
    assert steps < 500
