"""Modules that are imported when something of them is used first.

For libraries that most installations never use: each would take memory and a part of every start.
"""

import importlib
from types import ModuleType
from typing import Any


def deferred(name: str) -> ModuleType:
    """A stand-in for the module of that name: looking at an attribute imports it.

    `importlib.util.LazyLoader` would put a stand-in where everybody finds it, and whoever imports a
    submodule meanwhile gets a second copy of it.
    """
    return _Deferred(name)


class _Deferred(ModuleType):
    def __getattr__(self, attribute: str) -> Any:
        """Raises: ModuleNotFoundError when the module is not installed."""
        return getattr(importlib.import_module(self.__name__), attribute)
