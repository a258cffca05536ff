"""Fills a log with the trail of a made-up company, by COPY, so that it is large in minutes.

Unlike those of `filling.fill`, these events can be opened, searched, exported and erased: leaves,
salted digests, sealed disclosures, subject keys, hashes, MACs and tiles are what the service would
have written. Two processes make the events, a third one stores them.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from typing import NamedTuple

from benchmarks.filling import Connection, Filling, Row, copy_rows
from benchmarks.trail_events import DAYS, RECORDED_AFTER, Trail, subjects
from smart_audit.audit.domain import Entry, KeyId, OrganisationId, Subject
from smart_audit.audit.errors import EventTooLarge
from smart_audit.audit.leaves import to_leaves
from smart_audit.audit.sealed import SubjectKey
from smart_audit.audit.use_cases.sealing import Prepared, sealed_entries
from smart_audit.audit.wrapping import Wrapping
from smart_audit.core.sealing import Sealer
from smart_audit.tlog.disclosure import new_salts

CHUNK = 8_192  # events in a transaction
PROCESSES = 2
AHEAD = 4  # chunks that are made before they are stored

KEY_COLUMNS = (
    "organisation_id uuid, key_id uuid, subject_type text, subject_id text, wrapped_key bytea"
)
ENSURE_PARTITIONS = "SELECT audit.ensure_partitions(%s)"

Secrets = dict[Subject, tuple[KeyId, bytes]]
"""The key of each subject: its id and its secret of 32 bytes."""


def fill_with_trail(connection: Connection, trail: Trail, sealer: Sealer) -> None:
    """Append all events of a trail to its organisation's log.

    connection: of the owner, in autocommit mode. Nobody else may append to the log meanwhile.

    Raises: ValueError for a log that holds no event yet, or a full tile already.
    """
    for weeks in range(0, DAYS // 7 + 1, 4):
        connection.execute(ENSURE_PARTITIONS, [trail.start + timedelta(weeks=weeks)])
    filling = Filling(connection, trail.organisation_id, sealer.authenticate)
    secrets = _keep_keys(connection, trail.organisation_id, Wrapping(sealer))
    for rows in _made(trail, secrets):
        filling.append(rows)


def _keep_keys(
    connection: Connection, organisation_id: OrganisationId, wrapping: Wrapping
) -> Secrets:
    """Make a key for everybody whose data the trail holds."""
    made = [wrapping.wrap(organisation_id, subject) for subject in subjects()]
    rows = ((organisation_id, key.id, *key.subject, key.wrapped) for key, _ in made)
    copy_rows(connection, "subject_keys", KEY_COLUMNS, rows)
    return {key.subject: (key.id, secret) for key, secret in made}


def _made(trail: Trail, secrets: Secrets) -> Iterator[list[Row]]:
    """The rows of all events, in their order; they are made while others are stored."""
    firsts = range(0, trail.count, CHUNK)
    # Not by fork: gRPC's threads and channels do not survive one.
    with ProcessPoolExecutor(
        PROCESSES, get_context("spawn"), initializer=_begin, initargs=(trail, secrets)
    ) as pool:
        waiting: deque[Future[list[Row]]] = deque()
        for first in firsts:
            waiting.append(pool.submit(_make, first, min(first + CHUNK, trail.count)))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Worker(NamedTuple):
    """What a process that makes events keeps at hand."""

    trail: Trail
    keys: dict[Subject, SubjectKey]


_workers: list[_Worker] = []


def _begin(trail: Trail, secrets: Secrets) -> None:
    keys = {subject: SubjectKey.of(*secret) for subject, secret in secrets.items()}
    _workers.append(_Worker(trail, keys))


def _make(first: int, end: int) -> list[Row]:
    """The rows of the events from `first` to `end`."""
    trail, keys = _workers[0]
    prepared = []
    for new in trail.events(first, end):
        recorded_at = new.event.occurred_at + RECORDED_AFTER
        (leaf,) = to_leaves([new], recorded_at, new_salts)
        if isinstance(leaf, EventTooLarge):
            raise leaf
        prepared.append(Prepared(new, recorded_at, leaf))
    return [_row(entry) for entry in sealed_entries(trail.organisation_id, prepared, keys)]


def _row(entry: Entry) -> Row:
    event = entry.event
    return Row(
        event.id,
        entry.recorded_at,
        event.occurred_at,
        event.action,
        event.actor.id,
        event.outcome,
        entry.leaf,
        entry.leaf_hash,
        entry.sealed,
        tuple({target.id for target in event.targets}),
    )
