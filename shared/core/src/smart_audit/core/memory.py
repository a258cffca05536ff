"""How a service keeps its memory and its start small."""

import ctypes
import gc
import importlib
import sys
from contextlib import suppress
from importlib.util import find_spec
from types import ModuleType

_M_ARENA_MAX = -8
_ARENAS = 2


def import_lean() -> None:
    """Prepare the process for its imports; first of all that it does."""
    # All that is imported stays to the end: to look through it meanwhile takes a fifth of the time.
    gc.disable()
    # structlog would draw tracebacks with it, local variables and thus secrets included.
    sys.modules["rich"] = None  # type: ignore[assignment]
    _share_arenas()
    # Its sessions, which nobody opens here, would load the object-relational mapper.
    _take_a_part("sqlalchemy.ext.asyncio", of="engine")
    _take_a_part("snowballstemmer", of="english_stemmer")


def _take_a_part(name: str, of: str) -> None:
    """Let a package be one of its modules, imported when somebody asks for something of it.

    For packages that import all their modules, of which nobody here needs another.
    """
    top, _, rest = name.partition(".")
    found = find_spec(top)
    if found is None or found.submodule_search_locations is None:
        return
    package = ModuleType(name)
    package.__path__ = [
        "/".join([place, *rest.split(".")]) for place in found.submodule_search_locations
    ]
    package.__getattr__ = (  # type: ignore[method-assign]
        lambda attribute: getattr(importlib.import_module(f"{name}.{of}"), attribute)
    )
    sys.modules[name] = package


def _share_arenas() -> None:
    """Let threads share two arenas of glibc: each would get one of its own, and keep it.

    Before any thread. Source: mallopt(3).
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Give free memory of glibc back to the system, wherever it lies. Source: malloc_trim(3)."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
