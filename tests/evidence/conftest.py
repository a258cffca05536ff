"""Bundles to check, and a browser to check them in."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.browser import running_chromium

from .forgeries import BEGIN, END, SHOWN
from .making import Log, members

DISCLOSED = ("actor.name", "metadata", "targets.*.name")


@pytest.fixture(scope="session")
def log() -> Log:
    return Log(50)


@pytest.fixture(scope="session")
def bundle(log, tmp_path_factory):
    """Six of the entries 7 to 40 of 50 are shown, with some of their fields."""
    path = tmp_path_factory.mktemp("evidence") / "bundle.zip"
    return log.bundle(path, BEGIN, END, *SHOWN, disclose=DISCLOSED)


@pytest.fixture(scope="session")
def contents(bundle) -> dict[str, bytes]:
    """The members of `bundle`."""
    return members(bundle)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for one module, since other tests could run no event loop beside it."""
    with running_chromium() as browser:
        yield browser
