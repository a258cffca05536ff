"""A real Chromium."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from playwright.async_api import Browser as AsyncBrowser
from playwright.async_api import async_playwright
from playwright.sync_api import Browser, sync_playwright


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Run the chromium on the path.

    Playwright keeps an event loop in the thread: nobody else can run one there meanwhile.
    """
    how = _launching()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**how)
        yield browser
        browser.close()


@asynccontextmanager
async def chromium_beside_servers(*arguments: str) -> AsyncIterator[AsyncBrowser]:
    """Run it in the event loop of the tests, in which the servers run too."""
    how = _launching()
    how["args"] += arguments
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**how)
        yield browser
        await browser.close()


def _launching() -> dict[str, Any]:
    """How to launch it. Where it must not be missing, its absence is a failure."""
    path = shutil.which("chromium")
    if path is None:
        reason = "no chromium on the path"
        if "CI" in os.environ or "REQUIRE_BROWSER" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    return {
        "executable_path": path,
        "args": ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    }
