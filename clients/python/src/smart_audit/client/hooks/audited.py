"""A decorator that records each call of a function."""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar, cast

from smart_audit.client.events import Actor, EventFields, Outcome, Target
from smart_audit.client.hooks.context import record_here
from smart_audit.client.recorder import Recorder

Given = ParamSpec("Given")
Result = TypeVar("Result")
Arguments = Mapping[str, Any]
"""The arguments of a call by name, defaults included."""


def audited(
    action: str,
    recorder: Recorder,
    *,
    actor: Callable[[Arguments], Actor | None] | None = None,
    targets: Callable[[Arguments], Iterable[Target]] | None = None,
    metadata: Callable[[Arguments], Mapping[str, Any]] | None = None,
) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """Record each call when it has ended: as a success, or as a failure when it raises.

    PermissionError means that it was denied. What is raised is passed on, and recorded by its class
    alone: its text may hold anything. actor: else who acts here (`acting_as`).
    """

    def decorate(function: Callable[Given, Result]) -> Callable[Given, Result]:
        signature = inspect.signature(function)

        @contextmanager
        def recorded(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[None]:
            outcome, reason = Outcome.SUCCESS, ""
            try:
                yield
            except BaseException as error:
                denied = isinstance(error, PermissionError)
                outcome = Outcome.DENIED if denied else Outcome.FAILURE
                reason = type(error).__name__
                raise
            finally:
                record(args, kwargs, outcome, reason)

        def record(
            args: tuple[Any, ...], kwargs: dict[str, Any], outcome: Outcome, reason: str
        ) -> None:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:
                return  # no call of it: Python has told the caller
            bound.apply_defaults()
            given = bound.arguments
            fields: EventFields = {"outcome": outcome, "outcome_reason": reason}
            with recorder.guarded():
                if targets is not None:
                    fields["targets"] = targets(given)
                if metadata is not None:
                    fields["metadata"] = metadata(given)
                who = None if actor is None else actor(given)
                record_here(recorder, action, who, **fields)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def later(*args: Given.args, **kwargs: Given.kwargs) -> Any:
                with recorded(args, kwargs):
                    return await function(*args, **kwargs)

            return cast("Callable[Given, Result]", later)

        @functools.wraps(function)
        def now(*args: Given.args, **kwargs: Given.kwargs) -> Result:
            with recorded(args, kwargs):
                return function(*args, **kwargs)

        return now

    return decorate
