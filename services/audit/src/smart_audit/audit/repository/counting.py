"""Counts of projected events: by fields, over time, and of distinct values."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Integer,
    Select,
    Subquery,
    Text,
    and_,
    bindparam,
    cast,
    collate,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit.analytics.counts import NOTHING_LISTED, Counts, Extent, Keyed, Listed, Scope
from smart_audit.audit.analytics.query import Field
from smart_audit.audit.analytics.time_line import TimeLine
from smart_audit.audit.domain import OrganisationId, Outcome
from smart_audit.audit.meaning.phrases import Phrase, PhraseId
from smart_audit.audit.repository.facts import ACTOR, ADDRESS, PHRASE, TARGET, Facts
from smart_audit.audit.tables import found_events, phrases, projections
from smart_audit.audit.terms import TermKey

# What suits the service's other queries, which indexes answer, is wrong for sums over many rows.
PLANNING = {
    "enable_seqscan": "on",
    "enable_bitmapscan": "on",
    "enable_sort": "on",
    "work_mem": "64MB",
    "jit": "off",
    # Each plan is made for its own terms and times.
    "plan_cache_mode": "force_custom_plan",
}

COLUMN_OF = {
    Field.ACTOR: ACTOR,
    Field.ADDRESS: ADDRESS,
    Field.TARGET: TARGET,
    Field.KIND: PHRASE,
}
"""The column that a field is counted by; for all others it is the phrase."""
BIGINTS = ARRAY(BigInteger)
TIMES = ARRAY(DateTime(timezone=True))
OF_PHRASES: dict[Field, ColumnElement[Any]] = {
    Field.ACTION: phrases.c.action,
    Field.OUTCOME: cast(phrases.c.outcome, Text),
    Field.OUTCOME_REASON: phrases.c.outcome_reason,
    Field.SOURCE: phrases.c.source,
    # A row for each type, and none without.
    Field.TARGET_TYPE: func.unnest(phrases.c.target_types),
}
NO_ADDRESS = "0"


class Row(NamedTuple):
    """A row of one of the parts of an answer; what it has no use for is empty."""

    row: str | None
    column: str | None
    piece: int
    n: int


class EventCounter:
    """Counts the projected events of one organisation, in one transaction.

    size: how many entries of the log are projected.
    """

    def __init__(
        self, connection: AsyncConnection, organisation_id: OrganisationId, key: TermKey, size: int
    ) -> None:
        self._connection = connection
        self._organisation_id = organisation_id
        self._facts = Facts(organisation_id, key, size)
        self.size = size

    @classmethod
    async def open(
        cls, connection: AsyncConnection, organisation_id: OrganisationId, key: TermKey
    ) -> "EventCounter":
        """The counter of a transaction with the settings `PLANNING`, which sees one moment."""
        size = await connection.scalar(
            select(projections.c.size).where(projections.c.organisation_id == organisation_id)
        )
        return cls(connection, organisation_id, key, size or 0)

    async def kinds(self, ids: Sequence[int] | None = None) -> list[Phrase]:
        """The kinds with these ids, or all kinds of events."""
        statement = select(
            phrases.c.phrase_id,
            phrases.c.action,
            phrases.c.target_types,
            phrases.c.outcome,
            phrases.c.outcome_reason,
            phrases.c.source,
            phrases.c.text,
        ).where(phrases.c.organisation_id == self._organisation_id)
        if ids is not None:
            statement = statement.where(phrases.c.phrase_id.in_(ids))
        return [
            Phrase(PhraseId(id_), action, tuple(types), Outcome(outcome), *rest)
            for id_, action, types, outcome, *rest in await self._connection.execute(statement)
        ]

    async def extent(self, scope: Scope, *, exact: bool = False) -> Extent:
        """How many events there are, and when the first and the last of them happened.

        If not exact, the times may be the midnights (UTC) before.
        """
        facts = self._facts.rows(scope, (), None, exact=exact)
        statement = select(_sum(facts.c.events), func.min(facts.c.at), func.max(facts.c.at))
        total, first, last = (await self._connection.execute(statement)).one()
        return Extent(total or 0, first, last)

    async def counts(
        self, scope: Scope, fields: Sequence[Field], line: TimeLine | None, top: int
    ) -> Counts:
        """Events by up to two fields and over time."""
        named = dict(zip(("row", "column"), fields, strict=False))
        keyed = self._keyed("keyed", scope, named, line)
        # An event that has several targets is several pairs, and one of each of its other values.
        alone = {
            name: self._keyed(f"{name}_alone", scope, {name: field}, line)
            if len(fields) > 1 and any(field.several for field in fields)
            else keyed
            for name, field in named.items()
        }
        groups = {
            name: _groups(
                one, name, grouped=line is None and (len(fields) == 1 or one is not keyed)
            )
            for name, one in alone.items()
        }
        listed = {name: _top(groups[name], name, top) for name in named}
        parts = [
            part
            for name in named
            for part in _of_field(alone[name], name, groups[name], listed[name], line)
        ]
        if len(fields) > 1:
            parts.append(_cells(keyed, listed["row"], listed["column"]))
        if not any(field.several for field in fields):
            pieces = (
                select(keyed.c.piece, _sum(keyed.c.n).label("n")).group_by(keyed.c.piece).subquery()
            )
            parts.append(_part("pieces", pieces, piece=pieces.c.piece))
        found: dict[str, list[Row]] = defaultdict(list)
        for part, *row in await self._connection.execute(union_all(*parts)):
            found[part].append(Row(*row))
        return Counts(
            pieces={row.piece: row.n for row in found["pieces"]},
            rows=_listed(found, "row"),
            columns=_listed(found, "column"),
            of_rows={(row.row or "", row.piece): row.n for row in found["row pieces"]},
            of_columns={(row.column or "", row.piece): row.n for row in found["column pieces"]},
            cells={(row.row or "", row.column or "", row.piece): row.n for row in found["cells"]},
        )

    async def distinct(self, scope: Scope, field: Field) -> int:
        """How many distinct values a field has."""
        keyed = self._keyed("keyed", scope, {"row": field}, None)
        found = select(keyed.c.row)
        if field is Field.ADDRESS:
            found = found.where(keyed.c.row != NO_ADDRESS)
        count = await self._connection.scalar(select(func.count()).select_from(found.subquery()))
        return count or 0

    async def places_of(self, addresses: Sequence[int]) -> dict[int, int]:
        """For each address, the place in the log of an event that came from it."""
        # To stop at the first one, the planner would go over events until one is from there. An
        # address is a term as well, and the index on terms knows at once.
        for name in ("enable_seqscan", "enable_indexscan"):
            await self._connection.execute(select(func.set_config(name, "off", True)))  # noqa: FBT003
        array_of_all = bindparam(None, list(addresses), type_=BIGINTS, unique=True)
        wanted = func.unnest(array_of_all).table_valued(Column("address", BigInteger))
        wanted = wanted.render_derived(name="wanted")
        address = wanted.c.address
        place = (
            select(found_events.c.log_index)
            .where(
                found_events.c.terms.contains(array([address], type_=BigInteger)),
                found_events.c.address == address,
            )
            .limit(1)
            .correlate(wanted)
            .scalar_subquery()
        )
        found = await self._connection.execute(select(address, place))
        return {address: place for address, place in found if place is not None}

    def _grouped(self, scope: Scope, fields: Iterable[Field], line: TimeLine | None) -> Subquery:
        """Events by the columns of the fields and the piece of time, before they have names."""
        columns = {COLUMN_OF.get(field, PHRASE) for field in fields}
        facts = self._facts.rows(scope, columns, line)
        piece: ColumnElement[int] = literal(0, Integer)
        if line is not None:
            bounds = bindparam(None, list(line.bounds), unique=True, type_=TIMES)
            piece = func.width_bucket(facts.c.at, cast(bounds, TIMES)) - 1
        keys = [*(facts.c[column] for column in columns), piece.label("piece")]
        grouped = select(*keys, _sum(facts.c.events).label("n")).group_by(*keys)
        return grouped.subquery("grouped")

    def _keyed(
        self, name: str, scope: Scope, fields: Mapping[str, Field], line: TimeLine | None
    ) -> CTE:
        """Events by the values of the row's and the column's field as text, and piece of time."""
        grouped = self._grouped(scope, fields.values(), line)

        def key(name: str) -> ColumnElement[str]:
            field = fields.get(name)
            if field is None:
                return cast(null(), Text)
            if field in OF_PHRASES:
                return OF_PHRASES[field]
            return cast(grouped.c[COLUMN_OF[field]], Text)

        values = select(
            key("row").label("row"),
            key("column").label("column"),
            grouped.c.piece,
            grouped.c.n,
        )
        if not OF_PHRASES.keys() & set(fields.values()):
            return values.cte(name)
        of_events = and_(
            phrases.c.organisation_id == self._organisation_id,
            phrases.c.phrase_id == grouped.c.phrase_id,
        )
        named = values.select_from(grouped.join(phrases, of_events)).subquery()
        keys = (named.c.row, named.c.column, named.c.piece)
        return select(*keys, _sum(named.c.n).label("n")).group_by(*keys).cte(name)


def _groups(keyed: CTE, name: str, *, grouped: bool) -> CTE:
    """Events by the row's or the column's key; grouped: each key is there once already."""
    key = keyed.c[name].label("key")
    rows = select(key, keyed.c.n)
    if not grouped:
        rows = select(key, _sum(keyed.c.n).label("n")).group_by(keyed.c[name])
    return rows.cte(f"{name}_groups")


def _top(groups: CTE, name: str, top: int) -> CTE:
    """The most frequent keys; of equally frequent ones always the same come first."""
    order = (groups.c.n.desc(), collate(groups.c.key, "C"))
    return select(groups.c.key, groups.c.n).order_by(*order).limit(top).cte(f"top_{name}s")


def _of_field(
    keyed: CTE, name: str, groups: CTE, listed: CTE, line: TimeLine | None
) -> list[Select[Any]]:
    """What is told of the rows, or of the columns: the top, the sum of all, the top over time."""
    key = keyed.c[name]
    all_groups = select(func.count().label("groups"), _sum(groups.c.n).label("n")).subquery()
    parts = [
        _part(f"{name}s", all_groups, piece=cast(all_groups.c.groups, Integer)),
        _part(f"top {name}s", listed, **{name: listed.c.key}),
    ]
    if line is not None:
        over_time = (
            select(key.label("key"), keyed.c.piece, _sum(keyed.c.n).label("n"))
            .join_from(keyed, listed, key == listed.c.key)
            .group_by(key, keyed.c.piece)
            .subquery()
        )
        named = {name: over_time.c.key, "piece": over_time.c.piece}
        parts.append(_part(f"{name} pieces", over_time, **named))
    return parts


def _cells(keyed: CTE, rows: CTE, columns: CTE) -> Select[Any]:
    """What the rows and the columns at the top have in common."""
    cells = (
        select(keyed)
        .join(rows, keyed.c.row == rows.c.key)
        .join(columns, keyed.c.column == columns.c.key)
        .subquery()
    )
    return _part("cells", cells, row=cells.c.row, column=cells.c.column, piece=cells.c.piece)


def _part(name: str, source: Subquery | CTE, **columns: ColumnElement[Any]) -> Select[Any]:
    return select(
        literal(name, Text).label("part"),
        columns.get("row", cast(null(), Text)).label("row"),
        columns.get("column", cast(null(), Text)).label("column"),
        columns.get("piece", literal(0, Integer)).label("piece"),
        source.c.n,
    )


def _listed(found: Mapping[str, Sequence[Row]], name: str) -> Listed:
    if f"{name}s" not in found:
        return NOTHING_LISTED
    (all_groups,) = found[f"{name}s"]
    top = [
        Keyed((row.row if name == "row" else row.column) or "", row.n)
        for row in found[f"top {name}s"]
    ]
    top.sort(key=lambda keyed: (-keyed.events, keyed.key))
    return Listed(top, all_groups.piece, all_groups.n or 0)


def _sum(events: ColumnElement[Any]) -> ColumnElement[int]:
    """A sum of bigints would be a numeric."""
    return cast(func.sum(events), BigInteger)
