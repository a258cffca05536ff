"""Changes of a database through SQLAlchemy's sessions, recorded once they are committed."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any, Final

from sqlalchemy import event, inspect
from sqlalchemy.orm import InstanceState, ORMExecuteState, Session, SessionTransaction, sessionmaker

from smart_audit.client.events import (
    MAX_METADATA_BYTES,
    MAX_TARGET_ID,
    MAX_TARGET_TYPE,
    Outcome,
    struct,
)
from smart_audit.client.hooks.context import Acting, fitting, record_here
from smart_audit.client.recorder import Recorder

_PENDING: Final = "smart_audit_changes"
_MARKS: Final = "smart_audit_marks"
_NOT_IN_ACTIONS: Final = re.compile(r"[^A-Za-z0-9._-]")
_MOST_VALUE: Final = 4096  # characters
# A recorder adds the trace.
_MOST_METADATA: Final = MAX_METADATA_BYTES - 1024


class Kind(StrEnum):
    """What was done to a row."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Change:
    """A changed row, or many rows by one statement: then it has no key.

    columns: those that were changed. values: before and after, of the columns that may be shown.
    """

    kind: Kind
    table: str
    key: str
    columns: tuple[str, ...]
    values: Mapping[str, Mapping[str, Any]]


def capture_changes(
    sessions: type[Session] | Session | sessionmaker[Any],
    recorder: Recorder,
    *,
    actor: Acting = None,
    tables: Collection[str] | None = None,
    values: Mapping[str, Collection[str]] | None = None,
) -> None:
    """Record each inserted, updated and deleted row, once its transaction is committed.

    An event says which columns were changed, not what is in them: that only for the columns that
    `values` names, by table, each cut to 4,096 characters; where they are too much for one event,
    it has `values_left_out` instead. tables: which are captured; all, if not given. actor: else who
    acts here (`acting_as`). What is rolled back, also to a savepoint, is not recorded; a statement
    over many rows (`session.execute(update(…))`) is one event without keys; what goes past the
    session is not seen. For an `async_sessionmaker` give the class that is its
    `sync_session_class`.
    """
    hook = _Capture(recorder, actor, tables, values or {})
    event.listen(sessions, "after_flush", hook.flushed)
    event.listen(sessions, "do_orm_execute", hook.executes)
    event.listen(sessions, "after_transaction_create", hook.begun)
    event.listen(sessions, "after_soft_rollback", hook.rolled_back)
    event.listen(sessions, "after_commit", hook.committed)


class _Capture:
    def __init__(
        self,
        recorder: Recorder,
        actor: Acting,
        tables: Collection[str] | None,
        values: Mapping[str, Collection[str]],
    ) -> None:
        self._recorder = recorder
        self._actor = actor
        self._tables = tables
        self._values = values

    def flushed(self, session: Session, _context: Any) -> None:
        with self._recorder.guarded():
            pending = session.info.setdefault(_PENDING, [])
            for kind, rows in (
                (Kind.INSERT, session.new),
                (Kind.UPDATE, session.dirty),
                (Kind.DELETE, session.deleted),
            ):
                pending.extend(self._changes(kind, rows))

    def _changes(self, kind: Kind, rows: Collection[Any]) -> Iterator[Change]:
        for row in rows:
            state: InstanceState[Any] = inspect(row)
            table = getattr(state.mapper.local_table, "name", "")
            if self._tables is not None and table not in self._tables:
                continue
            shown = self._values.get(table, ())
            columns: list[str] = []
            values: dict[str, dict[str, Any]] = {}
            for attribute in state.mapper.column_attrs:
                history = state.attrs[attribute.key].history
                if kind is not Kind.DELETE and not history.has_changes():
                    continue
                name = attribute.columns[0].name
                columns.append(name)
                if name in shown:
                    values[name] = _before_and_after(kind, history)
            if columns:
                key = state.mapper.primary_key_from_instance(row)
                changed = () if kind is Kind.DELETE else tuple(columns)
                yield Change(
                    kind, table, fitting(",".join(map(str, key)), MAX_TARGET_ID), changed, values
                )

    def executes(self, state: ORMExecuteState) -> None:
        kinds = (
            (state.is_insert, Kind.INSERT),
            (state.is_update, Kind.UPDATE),
            (state.is_delete, Kind.DELETE),
        )
        for is_kind, kind in kinds:
            if is_kind:
                table = str(getattr(getattr(state.statement, "table", None), "name", ""))
                if self._tables is None or table in self._tables:
                    pending = state.session.info.setdefault(_PENDING, [])
                    pending.append(Change(kind, table, "", (), {}))

    def begun(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction.nested:
            marks = session.info.setdefault(_MARKS, {})
            marks[transaction] = len(session.info.get(_PENDING, ()))

    def rolled_back(self, session: Session, transaction: SessionTransaction) -> None:
        # A flush that fails rolls back a part of its own, and with it the savepoint around it.
        savepoint: SessionTransaction | None = transaction
        while savepoint is not None and not savepoint.nested:
            savepoint = savepoint.parent
        marks = session.info.get(_MARKS, {})
        del session.info.get(_PENDING, [])[marks.get(savepoint, 0) :]
        if savepoint is None:
            marks.clear()

    def committed(self, session: Session) -> None:
        if session.get_nested_transaction() is not None:
            return  # a savepoint: what was done since may be rolled back yet
        session.info.pop(_MARKS, None)
        for change in session.info.pop(_PENDING, ()):
            with self._recorder.guarded():
                self._record(change)

    def _record(self, change: Change) -> None:
        metadata: dict[str, Any] = {"columns": list(change.columns)}
        if change.values:
            metadata["values"] = change.values
            if struct(metadata).ByteSize() > _MOST_METADATA:
                del metadata["values"]
                metadata["values_left_out"] = True
        record_here(
            self._recorder,
            f"{_NOT_IN_ACTIONS.sub('_', change.table) or 'table'}.{change.kind}",
            self._actor,
            targets=[
                {"id": change.key, "type": change.table[:MAX_TARGET_TYPE]}
                if change.key
                else {"id": change.table or "unknown", "type": "table"}
            ],
            outcome=Outcome.SUCCESS,
            metadata=metadata,
        )


def _before_and_after(kind: Kind, history: Any) -> dict[str, Any]:
    before = [*history.deleted, *(history.unchanged if kind is Kind.DELETE else ())]
    shown: dict[str, Any] = {}
    if before and kind is not Kind.INSERT:
        shown["before"] = _json(before[0])
    if history.added and kind is not Kind.DELETE:
        shown["after"] = _json(history.added[0])
    return shown


def _json(value: Any) -> Any:
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    return text if len(text) <= _MOST_VALUE else f"{text[: _MOST_VALUE - 1]}…"
