"""Leaves and their disclosures."""

from base64 import urlsafe_b64encode
from hashlib import sha256

import orjson
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from smart_audit.tlog.disclosure import Disclosure, LeafError, new_disclosure
from smart_audit.tlog.leaf import LeafTooLarge, build_leaf, canonical_json, open_leaf

FACTS = {"id": "e-1", "action": "document.updated", "actor": {"id": "u-1", "type": "user"}}


def salt(number: int) -> str:
    return urlsafe_b64encode(number.to_bytes(16, "big")).decode().rstrip("=")


def encode(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


DISCLOSURES = [
    new_disclosure("actor_name", "Zoë 😀", salt(1)),
    new_disclosure("ip", "192.0.2.7", salt(2)),
    new_disclosure("metadata", {"b": [1, None], "a": 1.0}, salt(3)),
]
LEAF = build_leaf(FACTS, DISCLOSURES)
ENCODED = [disclosure.encoded for disclosure in DISCLOSURES]

# RFC 9901, sections 4.2.1, 4.2.3 and 5.1: disclosures and their digests.
PUBLISHED = [
    (
        "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0",
        "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0",
        ("_26bc4LT-ac6q2KI6cBW5es", "family_name", "Möbius"),
    ),
    (
        "WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgImdpdmVuX25hbWUiLCAiSm9obiJd",
        "jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4",
        ("2GLC42sKQveCfGfryNRN9w", "given_name", "John"),
    ),
    (
        "WyJlbHVWNU9nM2dTTklJOEVZbnN4QV9BIiwgImZhbWlseV9uYW1lIiwgIkRvZSJd",
        "TGf4oLbgwd5JQaHyKVQZU9UdGE0w5rtDsrZzfUaomLo",
        ("eluV5Og3gSNII8EYnsxA_A", "family_name", "Doe"),
    ),
]


@pytest.mark.parametrize(("encoded", "digest", "content"), PUBLISHED)
def test_the_specifications_disclosures_have_their_digests(encoded, digest, content):
    disclosure = Disclosure.parse(encoded)
    assert disclosure.digest == digest
    assert (disclosure.salt, disclosure.name, disclosure.value) == content
    assert disclosure.encoded == encoded


def test_a_new_disclosure_reads_back():
    for disclosure in DISCLOSURES:
        assert Disclosure.parse(disclosure.encoded) == disclosure


def test_a_disclosure_is_salt_name_and_value():
    disclosure = new_disclosure("ip", {"b": 1, "a": "ü"}, salt(9))
    content = rfc8785.dumps([salt(9), "ip", {"a": "ü", "b": 1}])
    assert disclosure.encoded == encode(content)
    assert disclosure.digest == encode(sha256(disclosure.encoded.encode()).digest())


def test_another_salt_gives_another_digest():
    assert new_disclosure("ip", "x", salt(1)).digest != new_disclosure("ip", "x", salt(2)).digest


@pytest.mark.parametrize(
    "bad", ["", "short", salt(1) + "A", salt(1)[:-1] + "=", salt(1)[:-1] + "+"]
)
def test_a_salt_of_another_form_is_refused(bad):
    with pytest.raises(LeafError, match="salt"):
        new_disclosure("ip", "x", bad)


@pytest.mark.parametrize("name", ["_sd", "_sd_alg", "..."])
def test_a_reserved_name_is_refused_everywhere(name):
    with pytest.raises(LeafError, match="cannot be named"):
        new_disclosure(name, 1, salt(1))
    with pytest.raises(LeafError, match="cannot be named"):
        Disclosure.parse(encode(orjson.dumps([salt(1), name, 1])))
    with pytest.raises(LeafError, match="cannot be named"):
        build_leaf({name: 1}, [])


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "not base64!",
        PUBLISHED[0][0] + "=",
        PUBLISHED[0][0] + "\n",
        encode(b"not json"),
        encode(b"\xff"),
        encode(b'{"salt":1}'),
        encode(b'["salt","name"]'),
        encode(b'["salt","name",1,2]'),
        encode(b'[1,"name",1]'),
        encode(b'["salt",1,1]'),
        "A",
    ],
)
def test_what_is_not_a_disclosure_is_refused(encoded):
    with pytest.raises(LeafError):
        Disclosure.parse(encoded)


def test_a_leaf_is_canonical_and_commits_to_sorted_digests():
    content = orjson.loads(LEAF)
    assert rfc8785.dumps(content) == LEAF
    assert content["_sd_alg"] == "sha-256"
    assert content["_sd"] == sorted(disclosure.digest for disclosure in DISCLOSURES)
    assert {key: content[key] for key in FACTS} == FACTS
    assert len(content) == len(FACTS) + 2


def test_a_leaf_does_not_depend_on_the_order_of_its_parts():
    backwards = dict(reversed(FACTS.items()))
    assert build_leaf(backwards, DISCLOSURES[::-1]) == LEAF


def test_a_leaf_shows_nothing_of_its_disclosures():
    for hidden in ("Zoë", "192.0.2.7", "actor_name", "metadata"):
        assert hidden.encode() not in LEAF


def test_a_leaf_opens_with_all_its_disclosures():
    opened = open_leaf(LEAF, ENCODED)
    assert opened.facts == FACTS
    assert opened.disclosed == {d.name: d.value for d in DISCLOSURES}
    assert opened.withheld == 0


@given(chosen=st.sets(st.integers(0, 2)))
def test_a_leaf_opens_with_any_of_its_disclosures(chosen):
    opened = open_leaf(LEAF, [ENCODED[position] for position in chosen])
    assert set(opened.disclosed) == {DISCLOSURES[position].name for position in chosen}
    assert opened.withheld == 3 - len(chosen)


def test_a_leaf_without_disclosures_has_an_empty_list():
    leaf = build_leaf(FACTS, [])
    assert orjson.loads(leaf)["_sd"] == []
    assert open_leaf(leaf, []).withheld == 0


def test_a_disclosure_of_another_leaf_is_refused_by_name():
    foreign = new_disclosure("ip", "203.0.113.9", salt(2))
    with pytest.raises(LeafError, match="'ip' is not of this leaf"):
        open_leaf(LEAF, [ENCODED[0], foreign.encoded])


def test_a_disclosure_given_twice_is_refused_by_name():
    with pytest.raises(LeafError, match="'ip' is given twice"):
        open_leaf(LEAF, [ENCODED[1], ENCODED[1]])


@settings(deadline=None)
@given(which=st.integers(0, 2), bit=st.integers(0, 8 * 40))
def test_one_flipped_bit_in_a_disclosure_is_refused(which, bit):
    data = bytearray(ENCODED[which].encode())
    data[(bit // 8) % len(data)] ^= 1 << (bit % 8)
    with pytest.raises(LeafError):
        open_leaf(LEAF, [data.decode("latin-1")])


def test_a_digest_changed_in_the_leaf_closes_its_disclosure():
    for disclosure in DISCLOSURES:
        other = new_disclosure("x", 1, salt(8)).digest
        content = orjson.loads(LEAF)
        content["_sd"] = sorted({*content["_sd"], other} - {disclosure.digest})
        with pytest.raises(LeafError, match="not of this leaf"):
            open_leaf(canonical_json(content), [disclosure.encoded])


def test_a_name_given_twice_is_refused():
    again = new_disclosure("ip", "198.51.100.1", salt(4))
    with pytest.raises(LeafError, match="'ip' is given twice"):
        build_leaf(FACTS, [*DISCLOSURES, again])
    with pytest.raises(LeafError, match="'ip' is given twice"):
        build_leaf({**FACTS, "ip": "public"}, DISCLOSURES)


def test_a_foreign_leaf_that_repeats_a_name_is_refused_on_opening():
    pair = [new_disclosure("ip", value, salt(value)) for value in (1, 2)]
    digests = sorted(disclosure.digest for disclosure in pair)
    leaf = canonical_json({"_sd": digests, "_sd_alg": "sha-256"})
    with pytest.raises(LeafError, match="repeats a fact"):
        open_leaf(leaf, [disclosure.encoded for disclosure in pair])
    leaf = canonical_json({"_sd": digests, "_sd_alg": "sha-256", "ip": 3})
    with pytest.raises(LeafError, match="repeats a fact"):
        open_leaf(leaf, [pair[0].encoded])


@pytest.mark.parametrize(
    "leaf",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'"text"',
        b'{"_sd":[]}',
        b'{"_sd_alg":"sha-256"}',
        b'{"_sd":[],"_sd_alg":"sha-512"}',
        b'{"_sd":"x","_sd_alg":"sha-256"}',
        b'{"_sd":[1],"_sd_alg":"sha-256"}',
        b'{"_sd":["b","a"],"_sd_alg":"sha-256"}',
        b'{"_sd":["a","a"],"_sd_alg":"sha-256"}',
        b'{"...":1,"_sd":[],"_sd_alg":"sha-256"}',
        b'{"_sd":[],"_sd_alg":"sha-256"} ',
        b'{"_sd": [],"_sd_alg":"sha-256"}',
        b'{"_sd_alg":"sha-256","_sd":[]}',
        b'{"_sd":[],"_sd_alg":"sha-256","a":1,"a":2}',
        b'{"_sd":[],"_sd_alg":"sha-256","a":1.0}',
        b'{"_sd":[],"_sd_alg":"sha-256","a":"\xff"}',
        b"[" * 2000 + b"]" * 2000,
        b"[" * 500 + b"]" * 500,
    ],
)
def test_what_build_leaf_would_not_write_is_refused(leaf):
    with pytest.raises(LeafError):
        open_leaf(leaf, [])


def test_a_leaf_has_at_most_65535_bytes():
    room = 65_535 - len(build_leaf({"text": ""}, []))
    largest = build_leaf({"text": "x" * room}, [])
    assert len(largest) == 65_535
    assert open_leaf(largest, []).facts == {"text": "x" * room}
    with pytest.raises(LeafTooLarge, match="65536 bytes"):
        build_leaf({"text": "x" * (room + 1)}, [])
    with pytest.raises(LeafTooLarge, match="65536 bytes"):
        open_leaf(largest + b" ", [])


def test_facts_that_are_not_json_are_refused():
    with pytest.raises(ValueError, match="not JSON serializable"):
        build_leaf({"a": object()}, [])
