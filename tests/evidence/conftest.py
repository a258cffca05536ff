"""Bundles to check, and a browser to check them in."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

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
    """A real Chromium. Where it must not be missing, its absence is a failure.

    For one module, since playwright keeps an event loop running: no other test could run its own.
    """
    path = shutil.which("chromium")
    if path is None:
        reason = "no chromium on the path"
        if "CI" in os.environ or "REQUIRE_BROWSER" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()
