"""Statements of a search, with parameters for all that differs from one search to the next.

To put one together takes longer than to run it: what every search asks is made once.

Parameters: `organisation_id`; `size`, before which the events lie in the log; `ids` of kinds;
`most`, how many rows there are at most.
"""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    bindparam,
    case,
    false,
    func,
    literal,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, array

from smart_audit.audit.tables import found_events

SAMPLE: Final = 500
"""Latest events that tell whether a word is common."""
COMMON: Final = 25
"""In so many of the sample a word is common, and tells nothing of an event that has it."""
COMMON_IN_ALL: Final = 2000
"""In so many events of a log it is, too: nobody looks through them for one of its words."""

_NEWEST_FIRST: Final = (found_events.c.occurred_at.desc(), found_events.c.log_index.desc())
_OWN: Final = found_events.c.organisation_id == bindparam("organisation_id")


def places(within: ColumnElement[bool] | None) -> Select[Any]:
    """Events of a log with their kinds. within: a condition on them."""
    statement = select(
        found_events.c.phrase_id, found_events.c.occurred_at, found_events.c.log_index
    ).where(_OWN, found_events.c.log_index < bindparam("size", type_=BigInteger))
    return statement if within is None else statement.where(within)


def newest_of_kinds(within: ColumnElement[bool] | None) -> Select[Any]:
    """The newest events of each of some kinds, `most` of each."""
    kinds, of_kind = _of_each_kind(within)
    newest = of_kind.lateral("newest")
    return select(newest).select_from(kinds.join(newest, true()))


def counts_of_kinds(within: ColumnElement[bool] | None) -> Select[Any]:
    """How many events some kinds have, up to `most`, and the times of the first and the last."""
    kinds, of_kind = _of_each_kind(within)
    some = of_kind.subquery()
    counted = (
        select(
            func.count().label("number"),
            func.min(some.c.occurred_at).label("first"),
            func.max(some.c.occurred_at).label("last"),
        )
        .select_from(some)
        .lateral("counted")
    )
    return select(kinds.c.phrase_id, counted).select_from(kinds.join(counted, true()))


def latest_sample(columns: Iterable[Any]) -> Select[Any]:
    """The sample: the latest events of all that the transaction sees, which are one log's."""
    return select(*columns).order_by(*_NEWEST_FIRST).limit(SAMPLE)


def _of_each_kind(within: ColumnElement[bool] | None) -> tuple[Any, Select[Any]]:
    ids = bindparam("ids", type_=ARRAY(BigInteger))
    kinds = func.unnest(ids).table_valued("phrase_id", name="kinds").render_derived()
    of_kind = (
        places(within)
        .where(found_events.c.phrase_id == kinds.c.phrase_id)
        .correlate(kinds)
        .order_by(*_NEWEST_FIRST)
        .limit(bindparam("most"))
    )
    return kinds, of_kind


def _rare() -> Select[Any]:
    asked = func.unnest(bindparam("terms", type_=ARRAY(BigInteger))).column_valued("term")
    sample = latest_sample([found_events.c.terms]).cte("sample")
    in_sample = (
        select(func.count())
        .select_from(sample)
        .where(asked == func.any(sample.c.terms))
        .scalar_subquery()
    )
    some = (
        select(literal(1))
        .where(_OWN, found_events.c.terms.contains(array([asked])))
        .limit(COMMON_IN_ALL)
        .subquery()
    )
    in_all = select(func.count()).select_from(some).scalar_subquery()
    # Only of what is rare in the sample the rest is looked at.
    return select(asked).where(case((in_sample < COMMON, in_all < COMMON_IN_ALL), else_=false()))


RARE: Final = _rare()
"""Of some `terms` those that few events have."""
NEWEST_OF_KINDS: Final = newest_of_kinds(None)
COUNTS_OF_KINDS: Final = counts_of_kinds(None)
