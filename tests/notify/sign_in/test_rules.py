"""What a sign-in is made of, each by itself: codes, pauses, kept secrets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pyotp
import pytest
from pydantic import SecretStr

from services.notify.sign_in import totp
from services.notify.sign_in.pause import counted_by
from services.notify.sign_in.secret_box import CannotOpen, box_of

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
NOW = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)
STEP = int(NOW.timestamp()) // 30


@pytest.mark.parametrize(("drift", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_counts_in_its_own_half_minute_and_in_those_beside_it(drift: int, taken: bool) -> None:
    code = pyotp.TOTP(SECRET).at(NOW + timedelta(seconds=30 * drift))

    assert totp.step_of(SECRET, code, now=NOW, after=0) == (STEP + drift if taken else None)


def test_a_code_of_a_step_that_was_used_or_passed_does_not_count() -> None:
    code = pyotp.TOTP(SECRET).at(NOW)

    assert totp.step_of(SECRET, code, now=NOW, after=STEP - 1) == STEP
    assert totp.step_of(SECRET, code, now=NOW, after=STEP) is None
    assert totp.step_of(SECRET, code, now=NOW, after=STEP + 1) is None


def test_a_code_may_be_typed_with_a_blank_and_nothing_else_is_one() -> None:
    code = pyotp.TOTP(SECRET).at(NOW)

    assert totp.step_of(SECRET, f"{code[:3]} {code[3:]}", now=NOW, after=0) == STEP
    for other in ("", code[:5], code + "0", "abcdef", "١٢٣٤٥٦"):
        assert totp.step_of(SECRET, other, now=NOW, after=0) is None, other


def test_pauses_grow_to_a_minute_and_not_beyond() -> None:
    by_login, by_address = counted_by("osei", device=None, address="192.0.2.1")

    assert [by_login.pause_s(number) for number in (0, 4, 5, 6, 7, 10, 11, 12, 5000)] == [0, 0, 1, 2, 4, 32, 60, 60, 60]
    assert [by_address.pause_s(number) for number in (49, 50, 5000)] == [0, 1, 60]
    assert by_login.left_s(5000, NOW - timedelta(seconds=59), NOW) == pytest.approx(1)
    assert by_login.left_s(5000, NOW - timedelta(seconds=60), NOW) == 0


def test_an_hour_allows_fewer_than_a_hundred_guesses_at_one_name() -> None:
    by_login, _ = counted_by("osei", device=None, address="192.0.2.1")
    now, guesses = 0.0, 0
    while now < 3600:
        guesses += 1
        now += by_login.pause_s(guesses)

    assert guesses < 100


def test_what_was_typed_as_a_login_name_is_not_kept() -> None:
    assert "osei" not in counted_by("osei", device=None, address=None)[0].subject


def test_the_secret_of_a_second_factor_is_kept_under_the_key() -> None:
    account = uuid4()
    box = box_of(SecretStr("a key of thirty-two characters ...."))
    kept = box.close(SECRET, account)

    assert SECRET not in kept
    assert kept != box.close(SECRET, account)
    assert box.open(kept, account) == SECRET
    with pytest.raises(CannotOpen):
        box.open(kept, uuid4())
    with pytest.raises(CannotOpen):
        box_of(SecretStr("another key of thirty-two characters")).open(kept, account)
    with pytest.raises(CannotOpen):
        box_of(None).open(kept, account)


def test_what_was_kept_before_there_was_a_key_stays_readable() -> None:
    account = uuid4()
    kept = box_of(None).close(SECRET, account)

    assert box_of(SecretStr("a key of thirty-two characters ....")).open(kept, account) == SECRET


def test_recovery_codes_are_long_and_different() -> None:
    codes = totp.new_recovery_codes()

    assert len({totp.recovery_hash(code) for code in codes}) == totp.RECOVERY_CODES
    assert all(len(code.replace("-", "")) == 16 for code in codes)
