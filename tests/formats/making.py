"""Events as the log gives them out, without a log; and arbitrary ones."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from hypothesis import strategies as st

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.audit import leaves
from smart_audit.audit.domain import (
    Actor,
    Event,
    EventId,
    InclusionProof,
    NewEvent,
    OrganisationId,
    Outcome,
    Recorded,
    Target,
)
from smart_audit.audit.leaves import Leaf, to_leaves
from smart_audit.audit.messages.events import to_new_event
from smart_audit.client.imports.cloudtrail import to_event
from smart_audit.core.tokens import Caller
from smart_audit.tlog.leaf import open_leaf

ORGANISATION = OrganisationId(UUID("0b7b9fd6-98bd-4c1f-8c12-8a0f7f1c9d11"))
NOW = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)


def new_event(**changes: Any) -> Event:
    """An event with everything in it."""
    fields: dict[str, Any] = {
        "id": EventId(uuid4()),
        "organisation_id": ORGANISATION,
        "action": "document.delete",
        "actor": Actor("u_1", "user", "Ada Lovelace", "ada@a.test"),
        "outcome": Outcome.SUCCESS,
        "occurred_at": NOW,
        "targets": (Target("d_1", "document", "Plans"), Target("f_1", "folder")),
        "outcome_reason": "",
        "source": "editor",
        "source_address": "192.0.2.7",
        "user_agent": "Editor/1.0",
        "metadata": {"region": "eu", "size": 17, "ratio": 0.5, "none": None, "list": [True, "ü"]},
    }
    return Event(**{**fields, **changes})


def recorded(
    event: Event | None = None, log_index: int = 7, erased: Sequence[str] = ()
) -> Recorded:
    """The event as the log holds it, with the leaf and the disclosures of the real format."""
    event = event or new_event()
    new = NewEvent(event, time_given=True, recorded_by="user:u_9")
    (leaf,) = to_leaves([new], NOW, lambda count: ["AAAAAAAAAAAAAAAAAAAAAA"] * count)
    assert isinstance(leaf, Leaf)
    disclosures = [one.decode() for parts in leaf.disclosures.values() for one in parts.encoded]
    return Recorded(
        event=event,
        log_index=log_index,
        recorded_at=NOW,
        recorded_by="user:u_9",
        leaf=leaf.encoded,
        leaf_hash=leaf.hash,
        disclosures=disclosures,
        erased=erased,
    )


def read_back(answer: audit_pb2.GetEventResponse) -> Recorded:
    """An event that a service has answered, as an export of the service gets it."""
    opened = open_leaf(answer.leaf, answer.disclosures)
    return Recorded(
        event=leaves.to_event(opened),
        log_index=answer.event.log_index,
        recorded_at=leaves.recorded_at(opened),
        recorded_by=answer.event.recorded_by,
        leaf=answer.leaf,
        leaf_hash=answer.leaf_hash,
        disclosures=list(answer.disclosures),
        erased=list(answer.event.erased_fields),
    )


def proof_of(one: Recorded) -> InclusionProof:
    """A proof of the right shape."""
    return InclusionProof(
        one.log_index, 9, one.leaf_hash, [b"\x01" * 32, b"\x02" * 32], b"\x03" * 32
    )


def texts(limit: int, least: int = 0) -> st.SearchStrategy[str]:
    """What a text field can hold: any Unicode that has an UTF-8."""
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=least, max_size=limit)


def ids(limit: int) -> st.SearchStrategy[str]:
    """What an id can hold: no control characters."""
    return st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=limit)


# Naive, as Hypothesis wants them.
FIRST = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).replace(tzinfo=None)

METADATA = st.dictionaries(
    texts(8),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53) + 1, 2**53 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | texts(12),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(8), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)

EVENTS = st.builds(
    Event,
    id=st.uuids().map(EventId),
    organisation_id=st.just(ORGANISATION),
    action=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,40}", fullmatch=True),
    actor=st.builds(Actor, ids(20), texts(10), texts(20), texts(20)),
    outcome=st.sampled_from(Outcome),
    occurred_at=st.datetimes(FIRST, LAST, timezones=st.just(UTC)),
    targets=st.lists(st.builds(Target, ids(20), texts(10), texts(20)), max_size=3).map(tuple),
    outcome_reason=texts(20),
    source=texts(20),
    source_address=st.ip_addresses().map(str) | texts(20),
    user_agent=texts(20),
    metadata=METADATA,
)

RECORDED = st.builds(
    recorded, EVENTS, st.integers(0, 2**53), st.just(()) | st.just(("actor.name",))
)


def imported(records: Sequence[Any]) -> list[Recorded]:
    """Records of CloudTrail as the product imports and reads them."""
    caller = Caller("u_9", ORGANISATION, None, frozenset())
    events = [to_new_event(to_event(record), caller).event for record in records]
    return [recorded(event, log_index) for log_index, event in enumerate(events)]
