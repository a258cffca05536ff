"""A real Chromium."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Run the chromium on the path. Where it must not be missing, its absence is a failure.

    Playwright keeps an event loop in the thread: nobody else can run one there meanwhile.
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
