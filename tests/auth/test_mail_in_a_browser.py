"""Mails and the pages that their links open, in a real Chromium."""

import re

import pytest

from tests.auth.test_email_and_password import NEW_PASSWORD, is_verified, request_reset
from tests.auth.test_letters import LETTERS, RENDERER
from tests.support.mails import account_of, mail_to
from tests.support.world import PASSWORD


@pytest.fixture
async def page(browser):
    """A page whose errors fail the test."""
    errors = []
    page = await browser.new_page(viewport={"width": 360, "height": 740})
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    await page.close()
    assert errors == []


async def said(page, words):
    """Wait until the page says something."""
    await page.get_by_role("status").filter(has_text=words).wait_for()


async def open_link(gateway, page, mail):
    """Open the link of a mail, at the gateway of the test; gives what the browser asked for."""
    (path,) = re.findall(r"https?://[^/]+(/account/\S+)", mail.text)
    asked = []
    page.on("request", lambda request: asked.append(request.resource_type))
    await page.goto(gateway.url + path)
    return asked


async def test_letters_fit_on_a_telephone_and_load_nothing(page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for letter in LETTERS:
        await page.set_content(RENDERER.render(letter).html)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        assert await page.locator("h1").is_visible()
    assert asked == []


async def test_a_link_verifies_the_address_by_a_click(gateway, page):
    world = gateway.world
    user = await world.signed_up(verified=False)
    mail = await mail_to(world, user.email, "Confirm")
    assert await open_link(gateway, page, mail) == ["document"]
    assert not is_verified(world, user)
    await page.get_by_role("button", name="Confirm address").click()
    await said(page, f"{user.email} is confirmed")
    assert is_verified(world, user)
    assert mail.token not in page.url


async def test_a_link_lets_choose_a_new_password(gateway, page):
    world = gateway.world
    user = await world.new_user()
    await request_reset(account_of(world), user.email)
    await open_link(gateway, page, await mail_to(world, user.email, "new password"))
    button = page.get_by_role("button", name="Set password")
    for first, again, answer in [
        (NEW_PASSWORD, PASSWORD, "not the same"),
        ("AdaLovelace1", "AdaLovelace1", "must not be made of your name"),
        (NEW_PASSWORD, NEW_PASSWORD, "Your password is set"),
    ]:
        await page.get_by_label("New password").fill(first)
        await page.get_by_label("Once more").fill(again)
        await button.click()
        await said(page, answer)
    await world.login(user.email, NEW_PASSWORD)


async def test_a_page_without_its_token_says_so_and_an_unknown_one_is_refused(gateway, page):
    await page.goto(f"{gateway.url}/account/verify-email")
    await said(page, "not complete")
    assert (await gateway.http.get("/account/elsewhere")).status_code == 400


async def test_a_page_lets_nothing_but_its_own_script_run(gateway, page):
    answer = await gateway.http.get("/account/verify-email")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    await page.goto(f"{gateway.url}/account/verify-email#token=x")
    color = "getComputedStyle(document.querySelector('button')).backgroundColor"
    assert await page.evaluate(color) == "rgb(11, 122, 117)"
