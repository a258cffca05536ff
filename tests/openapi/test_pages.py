"""The pages of documentation, as the gateway serves them and as a browser shows them."""

import gzip
import json
import re
from contextlib import asynccontextmanager

import pytest

from smart_audit.stack.gateway import docs_from
from tests.support.gateway import running_gateway

LIMIT_MS = 120_000
PATHS = ("/docs", "/redoc", "/openapi.json")
ASSET = re.compile(r'(?:src|href)="(/docs/assets/[^"]+)"')


# To show the whole document takes a browser a quarter of a minute of one core, or more.
EXTENTS = [
    pytest.param({"/auth/me", "/v1/events"}, id="a part"),
    pytest.param(None, id="all", marks=pytest.mark.soak),
]


def named_in(document):
    """The schemas that the paths of a document name, and those that these name."""
    schemas = document["components"].pop("schemas")
    found, text = {}, json.dumps(document)
    while more := set(re.findall(r'"#/components/schemas/([^"]+)"', text)) - set(found):
        found |= {name: schemas[name] for name in more}
        text = json.dumps(found)
    return found


@asynccontextmanager
async def opened(browser, address, paths):
    """A page, and all that it complains about: errors, blocked sources, calls elsewhere.

    paths: of the document, those that the page gets to see; None for all.
    """
    page = await browser.new_page(viewport={"width": 1280, "height": 900})
    complaints = []
    page.on("console", lambda said: complaints.extend([said.text] if said.type == "error" else []))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda failed: complaints.append(failed.url))

    async def cut(route):
        answer = await route.fetch()
        document = await answer.json()
        document["paths"] = {path: document["paths"][path] for path in sorted(paths)}
        document["components"]["schemas"] = named_in(document)
        await route.fulfill(response=answer, json=document)

    if paths:
        await page.route("**/openapi.json", cut)
    try:
        await page.goto(address)
        yield page, complaints
    finally:
        await page.close()


async def test_the_document_is_served_as_it_is_committed(gateway):
    answer = await gateway.http.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.json()["openapi"] == "3.1.0"
    assert answer.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_a_page_names_what_may_be_kept_for_ever_and_allows_nothing_else(gateway, path):
    page = await gateway.http.get(path)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "//" not in policy
    assets = ASSET.findall(page.text)
    assert len(assets) >= 3
    for asset in assets:
        answer = await gateway.http.get(asset)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-type"].startswith("text/")
        assert "https://cdn." not in answer.text
    assert "http" not in page.text


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("GZIP;q=1.0", "gzip"),
        ("br, deflate , gzip;q=0.5, zstd", "gzip"),
        ("br", None),
        ("br, gzip;q=0.0", None),
        ("x-gzip", None),
        ("identity", None),
    ],
)
async def test_files_are_compressed_before_anybody_asks(gateway, accepted, encoding):
    """What is compressed for a request has no length: it is sent while it is made."""
    page = await gateway.http.get("/docs", headers={"accept-encoding": accepted})
    (own,) = (path for path in ASSET.findall(page.text) if path.endswith("/pages.css"))
    for path in ("/openapi.json", own):
        headers = {"accept-encoding": accepted}
        async with gateway.http.stream("GET", path, headers=headers) as answer:
            sent = b"".join([part async for part in answer.aiter_raw()])
        assert answer.headers.get("content-encoding") == encoding
        assert int(answer.headers["content-length"]) == len(sent)
        assert answer.headers["vary"] == "accept-encoding"
        whole = await gateway.http.get(path, headers={"accept-encoding": "identity"})
        assert (gzip.decompress(sent) if encoding else sent) == whole.content


async def test_the_libraries_are_there_for_those_who_take_gzip(gateway):
    (library,) = (
        path
        for path in ASSET.findall((await gateway.http.get("/redoc")).text)
        if path.endswith("/redoc.standalone.js")
    )
    answer = await gateway.http.get(library)
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.content) > 500_000
    # Any coding will do for the next two, and none that there is for the last.
    for headers in ({"accept-encoding": "*"}, {"accept-encoding": None}):
        request = gateway.http.build_request("GET", library)
        request.headers.pop("accept-encoding")
        request.headers.update({name: value for name, value in headers.items() if value})
        assert (await gateway.http.send(request)).headers["content-encoding"] == "gzip"
    refused = await gateway.http.get(library, headers={"accept-encoding": "br"})
    assert refused.status_code == 406
    assert "accept gzip" in refused.json()["message"]


async def test_only_reading_is_answered(gateway):
    assert (await gateway.http.head("/docs")).status_code == 200
    assert (await gateway.http.post("/docs")).status_code in (401, 404)


@pytest.mark.parametrize("paths", EXTENTS)
async def test_swagger_ui_tries_an_operation_with_a_pasted_token(gateway, browser, paths):
    user = await gateway.world.new_user()
    address = f"{gateway.url}/docs#/AuthService/GetMe"
    async with opened(browser, address, paths) as (page, complaints):
        operation = page.locator("#operations-AuthService-GetMe")
        await operation.wait_for(timeout=LIMIT_MS)
        await page.locator("button.authorize").first.click()
        await page.locator(".auth-container input[type=text]").first.fill(user.access_token)
        await page.locator(".modal-ux button.authorize").first.click()
        await page.locator(".modal-ux button.btn-done").first.click()
        await operation.locator("button.execute").click()
        answered = operation.locator(".live-responses-table .response-col_status")
        await answered.last.wait_for(timeout=LIMIT_MS)
        assert "200" in await answered.last.inner_text()
        shown = operation.locator(".live-responses-table code.language-json").first
        assert json.loads(await shown.inner_text())["user"]["id"] == user.id
        assert complaints == []


@pytest.mark.parametrize("paths", EXTENTS)
async def test_redoc_shows_the_reference(gateway, browser, paths):
    async with opened(browser, f"{gateway.url}/redoc", paths) as (page, complaints):
        # In the menu, which is narrow, and as a heading.
        for name in ("EventService", "Appends one event to the log"):
            await page.get_by_text(name).nth(1).wait_for(timeout=LIMIT_MS, state="attached")
        assert complaints == []


async def test_the_pages_can_be_switched_off(world):
    async with running_gateway(world, docs=False) as without:
        for path in PATHS:
            assert (await without.http.get(path)).status_code == 401


def test_a_word_that_is_neither_on_nor_off_is_refused():
    assert docs_from({})
    assert not docs_from({"GATEWAY_DOCS": "off"})
    with pytest.raises(ValueError, match="GATEWAY_DOCS must be on or off"):
        docs_from({"GATEWAY_DOCS": "no"})
