"""A message for a device is sealed as RFC 8291 says: its own example comes out, and only the device can open ours."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec

from services.notify.push.encryption import LONGEST_BYTES, encrypt
from tests.notify.push.push_service import Browser, raw, unpadded

TEXT = b"When I grow up, I want to be a watermelon"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
RECEIVER = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
RECEIVER_PRIVATE = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
SALT, AUTH = "DGv6ra1nlYgDCS1FRnbzlw", "BTBZMqHH6r4Tts7J_aSIgg"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl"
    "95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)
"""RFC 8291, section 5 and appendix A."""


def private(number: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(raw(number)), ec.SECP256R1())


def test_the_example_of_the_standard_comes_out_bit_for_bit() -> None:
    body = encrypt(TEXT, receiver=raw(RECEIVER), secret=raw(AUTH), sender=private(SENDER), salt=raw(SALT))

    assert unpadded(body) == BODY


def test_the_reader_of_these_tests_reads_the_example_of_the_standard() -> None:
    assert Browser("", private(RECEIVER_PRIVATE), raw(AUTH)).read(raw(BODY)) == TEXT


def test_only_the_browser_that_subscribed_can_read_it() -> None:
    browser, other = Browser(""), Browser("")

    body = encrypt(b"an alert", receiver=browser.point, secret=browser.auth)

    assert browser.read(body) == b"an alert"
    with pytest.raises(InvalidTag):
        other.read(body)


def test_two_messages_with_the_same_text_have_nothing_in_common_and_the_same_length_as_others() -> None:
    browser = Browser("")
    first, second, longer = (
        encrypt(text, receiver=browser.point, secret=browser.auth, padded_to=512)
        for text in (b"an alert", b"an alert", b"an alert with more words")
    )

    assert first[:16] != second[:16]
    assert first[21:] != second[21:]
    assert len(first) == len(longer)
    assert browser.read(longer) == b"an alert with more words"


@pytest.mark.parametrize("receiver", [b"", b"\x04" + bytes(64), b"\x02" + bytes(32), b"\x04" + b"\xff" * 64])
def test_what_is_no_key_of_a_browser_is_refused(receiver: bytes) -> None:
    with pytest.raises(ValueError):
        encrypt(b"x", receiver=receiver, secret=bytes(16))


def test_a_text_that_no_push_service_would_take_is_refused() -> None:
    with pytest.raises(ValueError):
        encrypt(bytes(LONGEST_BYTES + 1), receiver=Browser("").point, secret=bytes(16))
