"""Defects, reported to Sentry, or to what speaks its protocol; off unless a DSN is set.

A report says what kind of exception it was, where in the code it was raised, in which method and
under which request id; the log has the rest. What could hold a secret or personal data is not taken
out of it: it never gets in. So it has no message of an exception, which may quote a value, and
neither variables nor requests.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from smart_audit.core.troubles import EXPECTED

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

FLUSH_S = 2.0
KEPT = ("event_id", "timestamp", "level", "platform", "release", "environment", "tags")
KEPT_OF_FRAMES = ("filename", "module", "function", "lineno", "in_app")

_on = False


@contextmanager
def reported(service: str, dsn: str, environment: str) -> Iterator[None]:
    """Report meanwhile, and what ends the process unexpectedly; nothing without a DSN."""
    if not dsn:
        yield
        return
    import sentry_sdk  # noqa: PLC0415

    global _on  # noqa: PLW0603
    sentry_sdk.init(
        dsn,
        release=f"smart-audit@{version('smart-audit-core')}",
        environment=environment,
        server_name="",
        default_integrations=False,
        auto_enabling_integrations=False,
        include_local_variables=False,
        include_source_context=False,
        send_default_pii=False,
        max_breadcrumbs=0,
        auto_session_tracking=False,
        send_client_reports=False,
        propagate_traces=False,
        before_send=_allowed,
    )
    sentry_sdk.set_tag("service", service)
    # It tells each failure to reach the server by a line of its own form.
    logging.getLogger("sentry_sdk.errors").setLevel(logging.CRITICAL)
    _on = True
    try:
        yield
    except EXPECTED:
        raise
    except Exception as error:
        report(error, {})
        raise
    finally:
        _on = False
        sentry_sdk.get_client().close(timeout=FLUSH_S)


def report(error: BaseException, tags: Mapping[str, str]) -> None:
    """Report a defect, with the tags `method` and `request_id`; it never raises."""
    if not _on:
        return
    import sentry_sdk  # noqa: PLC0415

    with sentry_sdk.new_scope() as scope:
        for name, value in tags.items():
            scope.set_tag(name, value)
        scope.capture_exception(error)


def _allowed(event: Event, _hint: Hint) -> Event | None:
    """The event with what is known to be harmless, and nothing else."""
    found: dict[str, Any] = {name: event[name] for name in KEPT if name in event}  # type: ignore[literal-required]
    exceptions = event.get("exception", {}).get("values", [])
    found["exception"] = {"values": [_without_values(one) for one in exceptions]}
    return found  # type: ignore[return-value]


def _without_values(exception: Mapping[str, Any]) -> dict[str, Any]:
    frames = exception.get("stacktrace", {}).get("frames", [])
    return {
        "type": exception.get("type"),
        "module": exception.get("module"),
        "stacktrace": {
            "frames": [
                {name: frame[name] for name in KEPT_OF_FRAMES if name in frame} for frame in frames
            ]
        },
    }
