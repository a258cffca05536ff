"""Checking bundles: good ones hold, and of others the place is named."""

import json
import random
import zipfile
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smart_audit.client.evidence.check import check_bundle
from smart_audit.client.evidence.formats import EVENTS, LEAVES, MANIFEST, PAGE
from smart_audit.client.evidence.keys import Keys
from smart_audit.tlog.note import parse, sign
from tests.tlog.reference import flipped

from .forgeries import FORGERIES, STRANGER, changed, flip
from .making import COSIGNED_AT, Log, hiding, members, zipped


@pytest.fixture
def check(tmp_path):
    """Checks members as a zip."""

    def checked(contents, *keys):
        return check_bundle(zipped(tmp_path / "changed.zip", contents), keys)

    return checked


def test_a_good_bundle_holds_under_the_key_that_is_trusted(bundle, log):
    report = check_bundle(bundle, [log.key])
    assert report.holds
    assert report.key_is_trusted
    assert report.notes == []
    assert report.manifest
    assert report.manifest.counts.events == 6
    assert report.verdict == (
        f"verified 6 events among entries 7 to 40 of 50 in {report.manifest.origin}, "
        "under a key that you trust"
    )


def test_without_a_trusted_key_the_report_says_so(bundle):
    report = check_bundle(bundle)
    assert report.holds
    assert not report.key_is_trusted
    assert "bundle's own" in report.notes[0]
    assert "the bundle itself" in report.verdict


@pytest.mark.parametrize("key", [Log(0, seed=2).key, Log(0).keys.witnesses[0]])
def test_a_bundle_does_not_hold_when_no_trusted_key_has_signed_it(bundle, key):
    report = check_bundle(bundle, [key])
    assert not report.holds
    assert report.faults[0].place == "checkpoint.txt"


def test_a_trusted_key_that_is_none_is_told(bundle):
    assert "is not a verifier key" in check_bundle(bundle, ["nonsense"]).verdict


def test_trusted_witnesses_are_named(bundle, log):
    report = check_bundle(bundle, [log.key, log.keys.witnesses[1]])
    assert report.holds
    assert report.trusted_witnesses == (log.keys.witnesses[1],)
    assert [one.witness for one in report.cosigned] == [one.name for one in log.witnesses]
    lines = list(report.lines())
    assert f"signed   {log.key}  (a key that you trust)" in lines
    whose = [line.rpartition("  ")[2] for line in lines if line.startswith("cosigned ")]
    assert whose == ["(the bundle's own key)", "(a key that you trust)"]
    assert {one.at for one in report.cosigned} == {COSIGNED_AT}


def test_a_witness_that_is_trusted_must_have_cosigned(bundle, log):
    report = check_bundle(bundle, [log.key, STRANGER.verifier.verifier_key])
    assert not report.holds
    assert "stranger.example" in str(report.faults[0])


def test_a_witness_of_whom_the_bundle_does_not_know_vouches_as_well(tmp_path, log):
    keys = replace(log.keys, witnesses=())
    path = log.bundle(tmp_path / "bundle.zip", 0, 4, keys=keys)
    report = check_bundle(path, [log.key, *log.keys.witnesses])
    assert report.holds
    assert report.trusted_witnesses == log.keys.witnesses


def test_a_key_that_nobody_trusts_is_named(tmp_path, log):
    eve = Log(50, seed=9)
    signature = sign(parse(log.note()).text, eve.signer).serialise().splitlines()[-1]
    keys = replace(log.keys, log=(log.key, eve.key))
    path = log.bundle(tmp_path / "bundle.zip", 0, 4, note=f"{log.note()}{signature}\n", keys=keys)
    report = check_bundle(path, [log.key])
    assert report.holds
    assert report.notes == [f"the bundle names another key that has signed: {eve.key}"]


def test_a_whole_forged_log_fits_together_and_fails_under_the_trusted_key(tmp_path, log):
    forged = Log(50, seed=2).bundle(tmp_path / "forged.zip", 7, 41)
    assert check_bundle(forged).holds
    assert not check_bundle(forged, [log.key]).holds


@pytest.mark.parametrize(
    ("size", "begin", "end", "shown"),
    [
        (1, 0, 1, []),
        (2, 1, 2, []),
        (3, 0, 3, [1]),
        (7, 3, 6, []),
        (8, 0, 8, [0, 7]),
        (33, 31, 33, []),
    ],
)
def test_bundles_of_all_shapes_hold(tmp_path, size, begin, end, shown):
    log = Log(size)
    report = check_bundle(log.bundle(tmp_path / "bundle.zip", begin, end, *shown), [log.key])
    assert report.holds, report.faults


def test_a_log_without_witnesses_is_enough(tmp_path):
    log = Log(5, witnesses=())
    assert check_bundle(log.bundle(tmp_path / "bundle.zip", 1, 4), [log.key]).holds


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_found_at_its_place(contents, check, log, name):
    forgery = FORGERIES[name]
    report = check(forgery.forge(contents), log.key)
    assert not report.holds
    found = [
        fault
        for fault in report.faults
        if fault.place.startswith(forgery.place) and forgery.because in str(fault)
    ]
    assert found, report.faults
    assert report.verdict.startswith("NOT verified: ")


def test_each_member_that_is_damaged_is_the_first_fault(contents, check):
    drawn = random.Random(7)
    for name, data in contents.items():
        for _ in range(4):
            bit = drawn.randrange(8 * len(data))
            report = check(contents | {name: flipped(data, bit)})
            assert not report.holds, (name, bit)
            # A digest that is damaged in the manifest looks like damage to its member.
            if name != MANIFEST:
                assert report.faults[0].place == name, (name, bit, report.faults[0])


def test_a_changed_hash_is_found_to_the_index_where_its_neighbours_are_known(contents, check):
    # Entry 8 is withheld, and the proof of entry 9 holds its hash.
    forged = changed(LEAVES, 1, flip("leaf_hash"))(contents)
    assert "leaves.jsonl, index 8" in {fault.place for fault in check(forged).faults}


def test_a_changed_hash_is_found_to_a_row_of_indexes_elsewhere(contents, check):
    # The proofs name the nodes over 12..15 and 16..19 alone.
    forged = changed(LEAVES, 7, flip("leaf_hash"))(contents)
    places = {fault.place for fault in check(forged).faults}
    assert "leaves.jsonl, indexes 12 to 15" in places


def test_all_faults_are_named(contents, check):
    forged = changed(EVENTS, 1, lambda line: line["event"].update(action="a"))(contents)
    forged = changed(EVENTS, 4, lambda line: line["event"].update(action="b"))(forged)
    places = [fault.place for fault in check(forged).faults]
    assert places == ["events.jsonl, line 2", "events.jsonl, line 5"]


def test_very_many_faults_are_counted(tmp_path, check):
    contents = members(Log(1200).bundle(tmp_path / "bundle.zip", 0, 1200))
    contents[EVENTS] = contents[EVENTS].replace(b"192.0.2.7", b"192.0.2.8")
    report = check(contents)
    assert len(report.faults) == 1000
    assert report.further_faults > 200
    assert any("more faults" in line for line in report.lines())


def test_a_page_of_another_version_is_noted(contents, check, log):
    page = contents[PAGE].replace(b"<title>Evidence", b"<title>evidence")
    head, _, rest = page.partition(b'id="bundle">')
    empty = head + b'id="bundle">' + rest[rest.index(b"</script>") :]

    def as_if(manifest):
        manifest["members"][PAGE] = {"sha256": sha256(empty).hexdigest(), "size": len(empty)}

    forged = changed(MANIFEST, 0, as_if)(contents | {PAGE: page})
    report = check(forged, log.key)
    assert report.holds, report.faults
    assert "verify.html is not the page that this version writes" in report.notes[0]


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all" * 50])
def test_what_is_no_zip_is_reported(tmp_path, data):
    path = tmp_path / "broken.zip"
    path.write_bytes(data)
    report = check_bundle(path)
    assert not report.holds
    assert report.faults[0].place == "broken.zip"


def test_a_missing_file_is_the_callers_affair(tmp_path):
    with pytest.raises(FileNotFoundError):
        check_bundle(tmp_path / "none.zip")


@settings(max_examples=150)
@given(data=st.data())
def test_no_damage_to_the_zip_crashes_the_check(tmp_path_factory, bundle, contents, data):
    raw = bytearray(bundle.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        # Most of a zip's own structure is at its end.
        where = data.draw(st.integers(0, len(raw) - 1) | st.integers(len(raw) - 2000, len(raw) - 1))
        raw[where] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw) - 1)) :]
    path = tmp_path_factory.getbasetemp() / "damaged.zip"
    path.write_bytes(raw)
    report = check_bundle(path)
    assert list(report.lines())
    if report.holds:
        assert members(path) == contents


@settings(max_examples=100)
@given(data=st.data())
def test_no_text_in_a_member_crashes_the_check(tmp_path_factory, contents, data):
    name = data.draw(st.sampled_from(sorted(contents)))
    rows = contents[name].splitlines(keepends=True)
    row = data.draw(st.integers(0, len(rows) - 1))
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=5,
    )
    rows[row] = data.draw(
        st.binary(max_size=80)
        | values.map(lambda value: json.dumps(value).encode() + b"\n")
        | st.sampled_from([b"", b"[" * 2000 + b"\n", b'{"a":' * 300, b"9" * 400 + b"\n"])
    )
    forged = contents | {name: b"".join(rows)}
    path = zipped(tmp_path_factory.getbasetemp() / "strange.zip", forged)
    assert forged == contents or not check_bundle(path).holds


def test_a_member_there_twice_is_found(tmp_path, bundle):
    path = tmp_path / "twice.zip"
    path.write_bytes(bundle.read_bytes())
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("summary.txt", b"all is well")
    assert "summary.txt" in {fault.place for fault in check_bundle(path).faults}


@pytest.mark.parametrize("hide", [0, 1, 2, 3])
def test_no_bytes_of_the_zip_are_outside_its_members(tmp_path, bundle, hide):
    raw = bundle.read_bytes()
    path = tmp_path / "hiding.zip"
    path.write_bytes([b"x" + raw, raw + b"x", *hiding(raw)][hide])
    assert not check_bundle(path).holds


def test_keys_are_written_and_read(log):
    assert Keys.parse(log.keys.text()) == log.keys
