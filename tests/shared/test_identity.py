"""A stored resource comes back with our id and meta, and every other byte as it came."""

from __future__ import annotations

import hashlib
import json
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
