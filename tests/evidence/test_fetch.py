"""Fetching what a bundle is written from, out of a service that answers as the real one does."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.cli.export import read_disclose
from smart_audit.cli.failures import Failure
from smart_audit.cli.options import read_time
from smart_audit.client.errors import CallError
from smart_audit.client.evidence.bundle import write_bundle
from smart_audit.client.evidence.check import check_bundle
from smart_audit.client.evidence.entries import require_match
from smart_audit.client.evidence.fetch import (
    Hits,
    NotCosigned,
    NothingFound,
    Wanted,
    fetch_hits,
    fetch_material,
)
from smart_audit.client.evidence.lines import EvidenceError
from smart_audit.client.verification import VerificationError
from smart_audit.tlog.append import grow
from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.leaf import open_leaf
from smart_audit.tlog.note import parse
from smart_audit.tlog.tiles import parse_tile_path

from .making import CREATED, ORIGIN, START, Log

ALWAYS = {"occurred_from": START, "occurred_before": START + timedelta(days=365)}
PAGE = 7


class Service:
    """A log behind the methods of a connection.

    cosigned_size: of the latest state that witnesses have seen; None when there is none.
    """

    def __init__(self, log, cosigned_size=None):
        self.full, self.cosigned_size = log, cosigned_size
        self.facts = [open_leaf(entry.leaf, []).facts for entry in log.entries]
        self.found = {}
        self.calls = []
        self.events = SimpleNamespace(ListEvents=self.list)
        self.log = SimpleNamespace(GetCheckpoint=self.checkpoint)
        self.tiles = SimpleNamespace(GetTile=self.tile)

    async def call(self, method, request):
        self.calls.append(request)
        return method(request)

    def list(self, request):
        wanted = {
            name: getattr(request, name)
            for name in ("actor_id", "action", "target_id")
            if getattr(request, name)
        }
        if request.outcome:
            wanted["outcome"] = audit_pb2.Outcome.Name(request.outcome)[8:].lower()
        for name in ("occurred_from", "occurred_before"):
            time = getattr(request, name).ToDatetime().isoformat(timespec="microseconds")
            wanted[name] = f"{time}Z"
        found = self.matching(wanted)
        begin = int(request.page_token or 0)
        page = found[begin : begin + PAGE]
        answer = audit_pb2.ListEventsResponse(checkpoint="unused")
        for index in page:
            entry = self.full.entries[index]
            answer.events.add(log_index=index)
            proof = answer.proofs.add(leaf=entry.leaf, disclosures=entry.disclosures)
            proof.inclusion_proof.log_index = index
        if begin + PAGE < len(found):
            answer.next_page_token = str(begin + PAGE)
        return answer

    def matching(self, wanted):
        """The places of the events that match, the newest first; each question is asked often."""
        asked = tuple(sorted(wanted.items()))
        if asked not in self.found:
            every = reversed(range(self.full.size))
            self.found[asked] = [index for index in every if self.matches(index, wanted)]
        return self.found[asked]

    def matches(self, index, wanted):
        try:
            require_match(self.facts[index], wanted, "")
        except EvidenceError:
            return False
        return True

    def checkpoint(self, request):
        if request.cosigned and self.cosigned_size is None:
            raise CallError(grpc.StatusCode.NOT_FOUND, "none yet", "CHECKPOINT_NOT_FOUND")
        size = self.cosigned_size if request.cosigned else self.full.size
        note = prefix(self.full, size).note()
        if not request.cosigned:
            lines = note.splitlines(keepends=True)
            note = "".join(line for line in lines if "witness" not in line)
        state = Checkpoint.parse(parse(note).text)
        return audit_pb2.GetCheckpointResponse(
            origin=ORIGIN,
            tree_size=size,
            root_hash=state.root,
            note=note,
            verifier_key=self.full.key,
            verifier_keys=[self.full.key],
        )

    def tile(self, request):
        path = parse_tile_path(f"tile/{request.path}")
        below = 256**path.level
        begin = path.index * 256 * below
        end = begin + path.width * below
        if end > self.full.size:
            raise CallError(grpc.StatusCode.NOT_FOUND, "no such tile", "TILE_NOT_FOUND")
        hashes = [leaf_hash(entry.leaf) for entry in self.full.entries[begin:end]]
        rows = [hashes[at : at + below] for at in range(0, len(hashes), below)]
        return HttpBody(data=b"".join(grow(CompactRange.empty(), row).root for row in rows))


def prefix(log, size):
    part = Log(0, seed=log.seed)
    part.size, part.entries = size, log.entries[:size]
    return part


@pytest.fixture(scope="module")
def large():
    return Log(1100)


async def exported(service, path, **wanted):
    what = Wanted(**(ALWAYS | wanted))
    with Hits() as hits:
        await fetch_hits(service, what, hits, lambda _: None)
        material = await fetch_material(service, what, hits, CREATED, lambda *_: None)
        return write_bundle(path, material, hits)


async def test_a_bundle_covers_the_smallest_range_of_all_that_match(tmp_path, large):
    path = tmp_path / "bundle.zip"
    first, last = START + timedelta(minutes=7 * 300), START + timedelta(minutes=7 * 700)
    manifest = await exported(
        Service(large),
        path,
        occurred_from=first,
        occurred_before=last,
        actor_id="u_3",
        action="report.export",
        disclose=["metadata"],
    )
    indexes = [index for index in range(300, 700) if index % 5 == 3 and index % 4 == 3]
    assert (manifest.begin, manifest.end) == (indexes[0], indexes[-1] + 1)
    assert manifest.counts.events == len(indexes)
    assert manifest.filters["action"] == "report.export"
    report = check_bundle(path, [large.key])
    assert report.holds, report.faults


async def test_no_event_and_no_leaf_takes_a_call_of_its_own(tmp_path, large):
    service = Service(large)
    await exported(service, tmp_path / "bundle.zip")
    pages, tiles, checkpoints = -(-1100 // PAGE), 5, 2
    assert len(service.calls) == pages + tiles + checkpoints


@pytest.mark.parametrize("size", [1, 255, 256, 257, 512, 1000])
async def test_tiles_are_those_of_the_checkpoints_tree(tmp_path, large, size):
    # The log has grown since the witnesses saw it.
    service = Service(large, cosigned_size=size)
    path = tmp_path / "bundle.zip"
    end = START + timedelta(minutes=7 * min(size, 40))
    manifest = await exported(service, path, occurred_before=end, witnesses=large.keys.witnesses)
    assert manifest.size == size
    report = check_bundle(path, [large.key, *large.keys.witnesses])
    assert report.holds, report.faults
    assert len(report.trusted_witnesses) == 2


async def test_the_latest_checkpoint_serves_where_the_cosigned_one_is_too_old(tmp_path, large):
    manifest = await exported(Service(large, cosigned_size=5), tmp_path / "bundle.zip")
    assert manifest.size == 1100


@pytest.mark.soak
async def test_demanded_witnesses_must_have_seen_all_of_it(tmp_path, large):
    keys = large.keys.witnesses
    with pytest.raises(NotCosigned, match="have seen 5 entries so far, and 1100 are needed"):
        await exported(Service(large, cosigned_size=5), tmp_path / "b.zip", witnesses=keys)
    with pytest.raises(NotCosigned, match="have seen 0 entries"):
        await exported(Service(large), tmp_path / "b.zip", witnesses=keys)


async def test_nothing_found_is_nothing_written(tmp_path, large):
    with pytest.raises(NothingFound):
        await exported(Service(large), tmp_path / "bundle.zip", actor_id="nobody")
    assert list(tmp_path.iterdir()) == []


async def test_a_service_that_proves_too_little_is_not_believed(tmp_path, large):
    service = Service(large)

    def without_proofs(request):
        answer = Service.list(service, request)
        del answer.proofs[-1]
        return answer

    def twice(request):
        answer = Service.list(service, request)
        answer.events.append(answer.events[0])
        answer.proofs.append(answer.proofs[0])
        return answer

    def short(request):
        return HttpBody(data=Service.tile(service, request).data[:-1])

    def other(request):
        data = Service.tile(service, request).data
        return HttpBody(data=bytes([data[0] ^ 1]) + data[1:])

    for place, change, why in (
        (service.events, {"ListEvents": without_proofs}, "not proven each"),
        (service.events, {"ListEvents": twice}, "listed twice"),
        (service.tiles, {"GetTile": short}, "instead of 8192"),
        (service.tiles, {"GetTile": other}, "signed root"),
    ):
        before = dict(vars(place))
        vars(place).update(change)
        with pytest.raises((VerificationError, EvidenceError), match=why):
            await exported(service, tmp_path / "bundle.zip")
        vars(place).update(before)
    assert list(tmp_path.iterdir()) == []


async def test_tiles_that_are_refused_end_the_export(tmp_path, large):
    service = Service(large)

    def refused(request):
        raise CallError(grpc.StatusCode.PERMISSION_DENIED, "not yours", "LOG_FORBIDDEN")

    service.tiles.GetTile = refused
    with pytest.raises(CallError, match="not yours"):
        await exported(service, tmp_path / "bundle.zip")


def test_times_are_utc_unless_they_say_otherwise():
    day = datetime(2026, 1, 31, tzinfo=UTC)
    assert read_time("2026-01-31", "--from") == day
    assert read_time("2026-01-31T01:00:00+01:00", "--from") == day
    assert read_time("2026-01-31T00:00:00Z", "--from") == day
    for text in ("", "yesterday", "0001-01-01T00:00:00+10:00"):
        with pytest.raises(Failure, match="is not a time"):
            read_time(text, "--to")


def test_what_to_disclose_is_all_none_or_paths():
    assert read_disclose("all") == "all"
    assert read_disclose("none") == ()
    assert read_disclose("actor.name, metadata") == ("actor.name", "metadata")
    for text in ("", "a,,b", "all,none", "metadata,all"):
        with pytest.raises(Failure):
            read_disclose(text)
