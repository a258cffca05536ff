"""A page in a real Chromium follows the log by `fetch`, as docs/tail.md shows it."""

import re
from pathlib import Path

import pytest

from smart_audit.api.auth.v1 import sessions_pb2
from tests.support.events import event, record, settled

DOCUMENT = Path(__file__).parents[2] / "docs" / "tail.md"
LIMIT_MS = 30_000

FOLLOW = """
([code, token, cursor]) => {
  const tail = eval("(" + code + ")");
  window.events = [];
  window.ended = null;
  tail(token, (event) => window.events.push(event), cursor).then((end) => { window.ended = end; });
}
"""


def the_documents_function():
    """The function `tail` as the document has it."""
    (code,) = re.findall(r"```js\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return code


@pytest.fixture
async def page(browser):
    page = await browser.new_page()
    yield page
    await page.close()


async def came(page, message):
    """Wait until the page has got an event."""
    await page.wait_for_function(
        f"window.events.some((event) => event.id === '{message.id}')", timeout=LIMIT_MS
    )


async def test_a_page_gets_events_live_and_resumes_by_the_cursor(gateway, page):
    world = gateway.world
    user = await world.new_user()
    await settled(world, user)
    # Of the gateway's own origin, as a console behind it would be, with a policy of its own.
    await page.route("**/console", lambda route: route.fulfill(content_type="text/html"))
    await page.goto(f"{gateway.url}/console")
    code = the_documents_function()
    await page.evaluate(FOLLOW, [code, user.access_token, ""])
    # The first that comes tells that somebody follows the log: that the stream has begun.
    await page.wait_for_function("window.events.length", timeout=LIMIT_MS)
    for _ in range(3):
        message = event()
        await record(world, user, message)
        await came(page, message)
    again = await world.login(user.email)
    revoke = sessions_pb2.RevokeSessionRequest(session_id=user.session_id)
    await world.sessions.RevokeSession(revoke, metadata=again.metadata)
    await page.wait_for_function("window.ended", timeout=LIMIT_MS)
    end = await page.evaluate("window.ended")
    assert end["reason"] == "SESSION_ENDED"
    missed = event()
    await record(world, again, missed)
    await page.evaluate(FOLLOW, [code, again.access_token, end["cursor"]])
    await came(page, missed)
