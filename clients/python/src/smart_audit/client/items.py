"""Things that come in pages: what an iterator fetches as it goes."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

Given = ParamSpec("Given")
Item = TypeVar("Item")

Pages = Callable[Concatenate[Any, Given], AsyncGenerator[Sequence[Item]]]


class items(Generic[Given, Item]):  # noqa: N801  (a decorator)
    """Makes a method that yields pages into one that iterates over what is in them.

    pages: the method as it was written, which `blocking.each` takes whole pages from.
    """

    def __init__(self, pages: Pages[Given, Item]) -> None:
        self.pages = pages
        self.__doc__ = pages.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Callable[Given, AsyncGenerator[Item]]: ...
    def __get__(
        self, instance: object | None, owner: type
    ) -> Self | Callable[Given, AsyncGenerator[Item]]:
        if instance is None:
            return self

        async def iterate(*args: Given.args, **kwargs: Given.kwargs) -> AsyncGenerator[Item]:
            async with aclosing(self.pages(instance, *args, **kwargs)) as pages:
                async for page in pages:
                    for item in page:
                        yield item

        return iterate
