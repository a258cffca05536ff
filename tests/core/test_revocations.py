"""Revocations as one process knows them."""

import time

import pytest

from smart_audit.core.errors import Unavailable
from smart_audit.core.revocations import (
    Revocation,
    Revocations,
    SessionEnded,
    member_key,
    session_key,
    token_key,
    user_key,
)

NOW_MS = int(time.time() * 1000)
LATER = int(time.time()) + 3600
A, B = b"a" * 16, b"b" * 16


def heard(*revocations, **options):
    known = Revocations(deaf_after_s=60, **options)
    known.hear(revocations)
    return known


def test_tokens_issued_up_to_a_revocation_are_refused_and_later_ones_are_not():
    known = heard(Revocation(A, NOW_MS, LATER))
    for issued in (NOW_MS - 1, NOW_MS):
        with pytest.raises(SessionEnded):
            known.check((B, A), issued)
    known.check((B, A), NOW_MS + 1)
    known.check((B,), NOW_MS)


def test_an_older_word_does_not_undo_a_newer_one():
    known = heard(Revocation(A, NOW_MS, LATER), Revocation(A, NOW_MS - 10, LATER))
    with pytest.raises(SessionEnded):
        known.check((A,), NOW_MS)


def test_who_has_not_heard_refuses_everybody():
    with pytest.raises(Unavailable):
        Revocations(deaf_after_s=60).check((), NOW_MS)


def test_who_has_heard_nothing_for_long_refuses_everybody():
    clock = [0.0]
    known = heard(monotonic=lambda: clock[0])
    clock[0] = 60
    known.check((A,), NOW_MS)
    clock[0] = 61
    with pytest.raises(Unavailable):
        known.check((A,), NOW_MS)
    known.hear()
    known.check((A,), NOW_MS)


def test_what_has_expired_is_forgotten():
    past = int(time.time()) - 1
    known = heard(Revocation(A, NOW_MS, past), Revocation(B, NOW_MS, LATER))
    assert [one.key for one in known.known()] == [B]


def test_memory_stays_bounded_by_what_still_matters():
    known = heard()
    past = int(time.time()) - 1
    for number in range(5_000):
        known.hear([Revocation(number.to_bytes(16, "big"), NOW_MS, past)])
    assert len(known._revoked) < 2_500


def test_keys_of_different_kinds_differ_and_tell_nothing():
    id_ = "01890000-0000-7000-8000-000000000001"
    keys = {session_key(id_), user_key(id_), member_key(id_, id_), token_key(id_)}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {16}
