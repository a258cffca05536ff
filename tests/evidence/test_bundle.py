"""Writing bundles: what is in them, and what is not written at all."""

import json
import tracemalloc
import zipfile
from base64 import b64decode
from dataclasses import dataclass, replace

import pytest

from smart_audit.client.evidence import page
from smart_audit.client.evidence.bundle import Material, OpenLeaf, write_bundle
from smart_audit.client.evidence.check import check_bundle
from smart_audit.client.evidence.entries import read_entry
from smart_audit.client.evidence.formats import EVENTS, LEAVES, PAGE, SUMMARY
from smart_audit.client.evidence.lines import EvidenceError
from smart_audit.client.evidence.page import split_page
from smart_audit.tlog.canonical import canonical_json
from smart_audit.tlog.leaf import new_disclosure
from smart_audit.tlog.note import parse, sign
from smart_audit.tlog.proofs import verify_inclusion

from .making import ORGANISATION, Log, entry, members


def rows(contents, name):
    return [json.loads(line) for line in contents[name].splitlines()]


def test_each_index_of_the_range_has_a_line_and_each_event_a_proof(contents, log):
    leaves = rows(contents, LEAVES)
    assert [leaf["index"] for leaf in leaves] == list(range(7, 41))
    assert [leaf["index"] for leaf in leaves if "leaf" in leaf] == [7, 9, 10, 11, 20, 40]
    assert [event["log_index"] for event in rows(contents, EVENTS)] == [7, 9, 10, 11, 20, 40]
    assert [name for name in contents if name.startswith("proofs/")] == [
        f"proofs/{index}.tlog-proof" for index in (7, 9, 10, 11, 20, 40)
    ]


def test_a_proof_is_one_that_others_verify(contents, log):
    head, _, note = contents["proofs/20.tlog-proof"].decode().partition("\n\n")
    first, index, *path = head.split("\n")
    assert (first, index) == ("c2sp.org/tlog-proof@v1", "index 20")
    assert note == log.note()
    root = b64decode(parse(note).text.split("\n")[2])
    verify_inclusion(log.hashes[20], 20, 50, [b64decode(one) for one in path], root)


def test_an_event_shows_the_chosen_fields_at_their_places(contents):
    line = rows(contents, EVENTS)[1]
    assert line["withheld"] == 2
    assert line["unavailable"] == 0
    event = line["event"]
    assert event["actor"] == {"id": "u_4", "type": "user", "name": "Zoë <b>9</b> Ångström"}
    assert event["targets"][0]["name"].startswith("Contract № 9")
    assert event["targets"][1] == {"id": "room"}
    assert event["metadata"]["big"] == 10**16
    assert event["recorded_by"] == "svc_7"
    assert "source_address" not in event
    assert "version" not in event


@pytest.mark.parametrize(
    ("disclose", "shown"),
    [
        ("all", 5),
        ([], 0),
        (["actor"], 2),
        (["actor.email"], 1),
        (["targets"], 1),
        (["targets.*.name"], 1),
        (["targets.1.name"], 0),
        (["act"], 0),
        (["actor.name.first"], 0),
    ],
)
def test_fields_are_chosen_by_path(tmp_path, disclose, shown):
    log = Log(3)
    contents = members(log.bundle(tmp_path / "bundle.zip", 1, 2, disclose=disclose))
    (leaf,) = rows(contents, LEAVES)
    assert (len(leaf["disclosures"]), len(leaf["withheld"])) == (shown, 5 - shown)
    assert check_bundle(tmp_path / "bundle.zip", [log.key]).holds


def test_what_the_exporter_does_not_hold_is_unavailable(tmp_path):
    log = Log(3)
    erased = [replace(one, disclosures=one.disclosures[2:]) for one in log.opened(0, 1)]
    path = tmp_path / "bundle.zip"
    write_bundle(path, log.material(0, 3, disclose=["metadata"]), erased)
    line = rows(members(path), EVENTS)[0]
    assert (line["withheld"], line["unavailable"]) == (2, 2)
    report = check_bundle(path, [log.key])
    assert report.holds
    assert report.manifest
    assert report.manifest.counts.unavailable == 4


def test_the_same_material_gives_the_same_bytes(tmp_path, log):
    one, other = (log.bundle(tmp_path / name, 7, 41, 7, 40) for name in ("a.zip", "b.zip"))
    assert one.read_bytes() == other.read_bytes()


def test_the_members_have_one_time_and_plain_names(bundle):
    with zipfile.ZipFile(bundle) as archive:
        assert archive.testzip() is None
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_name_cannot_fake_a_line_of_the_summary(tmp_path):
    log = Log(2)
    log.entries[1] = entry(1, actor={"id": "x\n\nVerified\u202e", "type": "user"})
    contents = members(log.bundle(tmp_path / "bundle.zip", 0, 2))
    assert "user x\\u000a\\u000aVerified\\u202e\n" in contents[SUMMARY].decode()


def test_long_counts_are_cut(tmp_path):
    log = Log(80)
    for index in range(80):
        log.entries[index] = entry(index, action=f"a.{index:02}")
    text = members(log.bundle(tmp_path / "bundle.zip", 0, 80))[SUMMARY].decode()
    assert "         1  a.49\n        30  in 30 more\n" in text
    assert check_bundle(tmp_path / "bundle.zip", [log.key]).holds


def test_what_is_too_much_for_the_page_is_left_out_of_it(tmp_path, monkeypatch, log):
    monkeypatch.setattr(page, "MAX_EMBEDDED", 10_000)
    path = log.bundle(tmp_path / "bundle.zip", 7, 41)
    assert split_page(members(path)[PAGE])[1] == b""
    assert check_bundle(path, [log.key]).holds


@pytest.mark.soak
def test_memory_stays_flat(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "MAX_EMBEDDED", 100_000)
    log = Log(2000)
    material, opened = log.material(0, 2000), log.opened(*range(2000))
    tracemalloc.start()
    write_bundle(tmp_path / "bundle.zip", material, iter(opened))
    write_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The events alone are 1.5 MB as text, and the leaves 3 MB; up to 8 MB are spooled.
    assert write_peak < 6_000_000


@dataclass
class Case:
    """What a mistake is made in."""

    log: Log
    material: Material
    opened: list[OpenLeaf]


MISTAKES = {
    "another leaf": (
        lambda case: (case.material, [replace(case.opened[0], leaf=case.log.entries[3].leaf)]),
        "not of this leaf|not the one",
    ),
    "another hash": (
        lambda case: (
            replace(case.material, leaf_hashes=bytes(32) + case.material.leaf_hashes[32:]),
            case.opened,
        ),
        "signed root",
    ),
    "a hash too few": (
        lambda case: (
            replace(case.material, leaf_hashes=case.material.leaf_hashes[32:]),
            case.opened,
        ),
        "hashes for this range|signed root",
    ),
    "a foreign disclosure": (
        lambda case: (
            case.material,
            [replace(case.opened[0], disclosures=case.log.entries[3].disclosures)],
        ),
        "not of this leaf",
    ),
    "no disclosure": (
        lambda case: (case.material, [replace(case.opened[0], disclosures=("~",))]),
        "not base64url",
    ),
    "another note": (
        lambda case: (replace(case.material, note=Log(10, seed=2).note()), case.opened),
        "not signed|no signature",
    ),
    "another organisation": (
        lambda case: (
            replace(case.material, organisation_id=ORGANISATION.replace("0", "1")),
            case.opened,
        ),
        "organisation",
    ),
    "the wrong order": (lambda case: (case.material, case.opened[::-1]), "order"),
    "an index twice": (lambda case: (case.material, case.opened[:1] * 2), "order"),
    "an index outside": (
        lambda case: (
            case.material,
            [OpenLeaf(9, case.log.entries[9].leaf, ())],
        ),
        "not the one|order",
    ),
    "a filter that does not match": (
        lambda case: (replace(case.material, filters={"action": "x"}), case.opened),
        "filter action",
    ),
    "a filter that is none": (
        lambda case: (replace(case.material, filters={"occurred_from": "x"}), case.opened),
        "occurred_from",
    ),
    "no log key": (
        lambda case: (replace(case.material, keys=replace(case.log.keys, log=())), case.opened),
        "keys.txt",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_does_not_verify_is_not_written(tmp_path, mistake):
    log = Log(10)
    change, why = MISTAKES[mistake]
    path = tmp_path / "bundle.zip"
    path.write_bytes(b"an older one")
    with pytest.raises(EvidenceError, match=why):
        write_bundle(path, *change(Case(log, log.material(2, 6), log.opened(2, 4))))
    assert path.read_bytes() == b"an older one"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("filters", "matches"),
    [
        ({"occurred_from": "2026-02-03T04:19:06.000007Z"}, True),
        ({"occurred_from": "2026-02-03T04:19:06.000008Z"}, False),
        ({"occurred_before": "2026-02-03T04:19:06.000007Z"}, False),
        ({"actor_id": "u_2", "action": "report.export"}, False),
        ({"actor_id": "u_2", "action": "user.login", "outcome": "success"}, True),
        ({"outcome": "denied"}, False),
        ({"target_id": "room"}, True),
        ({"target_id": "d_2"}, True),
        ({"target_id": "d_3"}, False),
    ],
)
def test_filters_are_those_of_the_listing(tmp_path, filters, matches):
    log = Log(5)
    material, opened = log.material(2, 3, filters=filters), log.opened(2)
    if matches:
        write_bundle(tmp_path / "bundle.zip", material, opened)
        assert check_bundle(tmp_path / "bundle.zip", [log.key]).holds
    else:
        with pytest.raises(EvidenceError, match="does not match the filter"):
            write_bundle(tmp_path / "bundle.zip", material, opened)


ODD_NAMES = {
    "a fact": ("actor.id", "repeats a fact"),
    "a fact at the top": ("action", "given twice|repeats a fact"),
    "no target of that number": ("targets.2.name", "has no place"),
    "a number that is none": ("targets.00.name", "has no place"),
    "below a text": ("action.name", "has no place"),
    "in an array": ("targets.0", "has no place"),
}


@pytest.mark.parametrize("odd", ODD_NAMES)
def test_a_field_that_has_no_place_in_the_event_is_refused(odd):
    name, why = ODD_NAMES[odd]
    disclosure = new_disclosure(name, "x", "A" * 22)
    leaf = json.loads(entry(1).leaf) | {"_sd": [disclosure.digest]}
    with pytest.raises(EvidenceError, match=why):
        read_entry(canonical_json(leaf), [disclosure.encoded], [], "here")


def test_fields_within_each_other_are_refused_and_new_objects_are_made():
    made = [new_disclosure(name, 1, "A" * 22) for name in ("changes.after", "changes")]
    leaf = json.loads(entry(1).leaf) | {"_sd": sorted(one.digest for one in made)}
    encoded = [one.encoded for one in made]
    event = read_entry(canonical_json(leaf), encoded[:1], [], "here").event
    assert event["changes"] == {"after": 1}
    with pytest.raises(EvidenceError, match="one within the other"):
        read_entry(canonical_json(leaf), encoded, [], "here")


def test_two_keys_of_one_log_may_have_signed(tmp_path):
    log, rotated = Log(4), Log(4, seed=2)
    note = sign(parse(log.note()).text, log.signer, rotated.signer)
    keys = replace(log.keys, log=(rotated.key, log.key), witnesses=())
    path = log.bundle(tmp_path / "bundle.zip", 0, 4, note=note.serialise(), keys=keys)
    for key in (log.key, rotated.key):
        report = check_bundle(path, [key])
        assert report.holds
        assert report.log_keys == (key,)
