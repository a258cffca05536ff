"""The statements that a call sends to the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from smart_audit.core.rpc.context import current_call


@contextmanager
def statements() -> Iterator[list[str]]:
    """Those of auth's calls meanwhile; not of its work in the background, nor of audit's calls."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if current_call() is not None and "auth." in statement:
            sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)
