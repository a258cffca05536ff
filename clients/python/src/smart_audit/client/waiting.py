"""Methods of a loop, for callers that wait: written once, typed alike."""
# ruff: noqa: SLF001  (the descriptors here are part of the class)

import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from smart_audit.client.errors import CallError
from smart_audit.client.items import items
from smart_audit.client.loop_thread import LoopThread

Inner = TypeVar("Inner")
Given = ParamSpec("Given")
Result = TypeVar("Result")
Item = TypeVar("Item")


class Waiting(Generic[Inner]):
    """An object whose methods run in the loop of a thread."""

    def __init__(self, thread: LoopThread, inner: Inner) -> None:
        self._thread = thread
        self._inner = inner

    def _wait(self, make: Callable[[Any], Coroutine[Any, Any, Result]]) -> Result:
        try:
            return self._thread.run(lambda: make(self._inner))
        except CallError as error:
            # Their frames hold the call, and the call the channel: whoever kept the error would
            # keep gRPC from ending before a fork.
            if error.__cause__ is not None:
                error.__cause__.__traceback__ = None
            raise error.with_traceback(None)  # noqa: B904


class waits(Generic[Given, Result]):  # noqa: N801  (a decorator)
    """A method of the inner object, waited for."""

    def __init__(
        self, method: Callable[Concatenate[Any, Given], Coroutine[Any, Any, Result]]
    ) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Waiting[Any], owner: type) -> Callable[Given, Result]: ...
    def __get__(self, instance: Waiting[Any] | None, owner: type) -> Self | Callable[Given, Result]:
        if instance is None:
            return self

        @functools.wraps(self._method)
        def wait(*args: Given.args, **kwargs: Given.kwargs) -> Result:
            return instance._wait(lambda inner: self._method(inner, *args, **kwargs))

        return wait


class each(Generic[Given, Item]):  # noqa: N801  (a decorator)
    """What a method of the inner object iterates over, a page at a time."""

    def __init__(self, method: items[Given, Item]) -> None:
        self._pages = method.pages
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Waiting[Any], owner: type) -> Callable[Given, Generator[Item]]: ...
    def __get__(
        self, instance: Waiting[Any] | None, owner: type
    ) -> Self | Callable[Given, Generator[Item]]:
        if instance is None:
            return self

        @functools.wraps(self._pages)
        def iterate(*args: Given.args, **kwargs: Given.kwargs) -> Generator[Item]:
            pages = self._pages(instance._inner, *args, **kwargs)
            try:
                while (page := instance._wait(lambda _inner: _next(pages))) is not None:
                    yield from page
            finally:
                instance._wait(lambda _inner: pages.aclose())

        return iterate


async def _next(pages: AsyncGenerator[Sequence[Item]]) -> Sequence[Item] | None:
    """The next page; None at the end, since a future cannot hold StopAsyncIteration."""
    return await anext(pages, None)
