"""Fixtures for the tests of the stack."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.stack.running import RunningStack, running_stack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A private working folder; pytest's own parents are closed to other users already."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    return private


@pytest.fixture
def stack(folder: Path) -> Iterator[Callable[..., RunningStack]]:
    """Starts stacks in the test's folder, and stops what the test left running."""
    with ExitStack() as stacks:
        yield lambda *options, **extra: stacks.enter_context(
            running_stack(folder, *options, **extra)
        )
    shutil.rmtree(folder, ignore_errors=True)
