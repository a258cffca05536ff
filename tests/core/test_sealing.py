"""Secrets at rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_audit.core.sealing import SealBroken, Sealer

KEY = bytes(range(32))


@given(st.binary(), st.text())
def test_what_is_sealed_can_be_opened_and_looks_like_noise(secret, purpose):
    sealed = Sealer(KEY).seal(secret, purpose)
    assert Sealer(KEY).open(sealed, purpose) == secret
    assert sealed != Sealer(KEY).seal(secret, purpose)


@given(st.binary(min_size=1), st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_byte_breaks_the_seal(secret, place, change):
    sealed = bytearray(Sealer(KEY).seal(secret, "p"))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(SealBroken):
        Sealer(KEY).open(bytes(sealed), "p")


def test_another_key_or_purpose_does_not_open_it():
    sealed = Sealer(KEY).seal(b"secret", "p")
    for sealer, purpose in ((Sealer(KEY[::-1]), "p"), (Sealer(KEY), "q")):
        with pytest.raises(SealBroken, match="another key-encryption key"):
            sealer.open(sealed, purpose)
