"""Passkeys in a real Chromium with its virtual authenticator, through the real gateway.

The page is our front end's, by its origin. It is one empty line, which the browser is given at that
address, so that no fixed port has to be free; what it calls is real.
"""

import json

import pytest
from playwright.async_api import Error

from tests.support.world import PASSWORD

ORIGIN = "http://localhost:3000"
ELSEWHERE = "http://localhost:3001"

CALL = """async ([method, url, token, body]) => {
    const headers = {'content-type': 'application/json'};
    if (token) headers.authorization = `Bearer ${token}`;
    const answer = await fetch(url, {method, headers, body});
    const json = await answer.json();
    if (!answer.ok) throw new Error(JSON.stringify(json));
    return json;
}"""
CREATE = """async (options) => {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    return (await navigator.credentials.create({publicKey})).toJSON();
}"""
GET = """async (options) => {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
    return (await navigator.credentials.get({publicKey})).toJSON();
}"""


class Page:
    """A page of an origin, and the authenticator of its computer."""

    def __init__(self, gateway, page, devices):
        self.gateway = gateway
        self.page = page
        self.devices = devices
        self.device = ""

    async def plug_in(self, transport):
        """Add an authenticator."""
        added = await self.devices.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "transport": transport,
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": True,
                    "automaticPresenceSimulation": True,
                }
            },
        )
        self.device = added["authenticatorId"]

    async def unplug(self):
        """Take the authenticator away."""
        name = {"authenticatorId": self.device}
        await self.devices.send("WebAuthn.removeVirtualAuthenticator", name)

    async def verify_user(self, verified):
        """Whether the finger on the authenticator is the right one."""
        setting = {"authenticatorId": self.device, "isUserVerified": verified}
        await self.devices.send("WebAuthn.setUserVerified", setting)

    async def open(self, origin):
        await self.page.goto(origin)

    async def call(self, path, token="", method="POST", **body):
        """Call the gateway from the page."""
        text = None if method == "DELETE" else json.dumps(body)
        return await self.page.evaluate(CALL, [method, f"{self.gateway.url}{path}", token, text])

    async def register(self, user, name):
        path = "/v1/auth/factors/passkeys"
        begun = await self.call(f"{path}:begin", user.access_token)
        credential = await self.page.evaluate(CREATE, begun["options"])
        return await self.call(path, user.access_token, credential=credential, name=name)

    async def signed(self, **changes):
        """What the authenticator answers to a new challenge, as if the options said more."""
        begun = await self.call("/auth/passkey/begin")
        return await self.page.evaluate(GET, begun["options"] | changes)

    async def login(self):
        return await self.call("/auth/passkey/login", credential=await self.signed())


@pytest.fixture
async def page(browser, gateway):
    # To the browser a page that it was given is of the internet, not of this machine.
    context = await browser.new_context(permissions=["local-network-access"])
    await context.route(
        lambda url: url.startswith((ORIGIN, ELSEWHERE)),
        lambda route: route.fulfill(content_type="text/html", body="<!doctype html>"),
    )
    page = await context.new_page()
    devices = await context.new_cdp_session(page)
    await devices.send("WebAuthn.enable")
    somebody = Page(gateway, page, devices)
    await somebody.plug_in("internal")
    await somebody.open(ORIGIN)
    yield somebody
    await context.close()


async def refused(gateway, credential):
    """Send what the browser has signed; it must be refused. Gives the reason."""
    answer = await gateway.http.post("/auth/passkey/login", json={"credential": credential})
    assert answer.status_code == 401
    return answer.json()["details"][0]["reason"]


async def test_a_passkey_is_registered_and_logs_in_without_a_name(page, world):
    user = await world.new_user()
    added = await page.register(user, "This computer")
    assert added["passkey"]["name"] == "This computer"
    assert len(added["recovery_codes"]) == 10
    answer = await page.login()
    assert answer["user"] == {"id": user.id, "email": user.email}


async def test_a_passkey_completes_a_login_by_password(page, world):
    user = await world.new_user()
    await page.register(user, "This computer")
    asked = await page.call("/auth/login", email=user.email, password=PASSWORD)
    assert (asked["mfa_required"], asked["access_token"]) == (True, "")
    answer = await page.call(
        "/auth/login/complete",
        challenge=asked["challenge"],
        passkey=await page.page.evaluate(GET, asked["passkey_options"]),
    )
    assert answer["user"]["id"] == user.id


async def test_a_second_passkey_is_of_another_device_and_works_by_itself(page, world):
    user = await world.new_user()
    first = (await page.register(user, "This computer"))["passkey"]
    with pytest.raises(Error, match="InvalidStateError"):
        await page.register(user, "This computer again")
    await page.unplug()
    await page.plug_in("usb")
    await page.register(user, "The key on my ring")
    await page.call(f"/v1/auth/factors/passkeys/{first['id']}", user.access_token, "DELETE")
    answer = await page.login()
    assert answer["user"]["id"] == user.id


async def test_a_removed_passkey_logs_in_no_longer(page, gateway, world):
    user = await world.new_user()
    passkey = (await page.register(user, "This computer"))["passkey"]
    path = f"/v1/auth/factors/passkeys/{passkey['id']}"
    assert (await gateway.http.delete(path, headers=dict(user.metadata))).status_code == 200
    assert await refused(gateway, await page.signed()) == "PASSKEY_INVALID"


async def test_an_answer_without_user_verification_is_refused(page, gateway, world):
    await page.register(await world.new_user(), "This computer")
    await page.verify_user(False)
    credential = await page.signed(userVerification="discouraged")
    assert await refused(gateway, credential) == "PASSKEY_INVALID"
    await page.verify_user(True)
    assert (await page.login())["access_token"]


async def test_an_answer_is_not_taken_twice(page, gateway, world):
    await page.register(await world.new_user(), "This computer")
    credential = await page.signed()
    assert (await page.call("/auth/passkey/login", credential=credential))["access_token"]
    assert await refused(gateway, credential) == "CHALLENGE_INVALID"


async def test_an_answer_to_a_page_of_another_origin_is_refused(page, gateway, world):
    await page.register(await world.new_user(), "This computer")
    begun = (await gateway.http.post("/auth/passkey/begin", json={})).json()
    await page.open(ELSEWHERE)
    credential = await page.page.evaluate(GET, begun["options"])
    assert await refused(gateway, credential) == "PASSKEY_INVALID"


async def test_a_passkey_renews_the_authentication_of_a_session(page, world):
    user = await world.new_user()
    await page.register(user, "This computer")
    proof = {"passkey": await page.signed()}
    answer = await page.call("/auth/reauthenticate", user.access_token, **proof)
    assert answer["access_token"] != user.access_token
