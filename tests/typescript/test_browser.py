"""The built package in a real Chromium, in a page of the origin that the gateway allows, and of one
that it does not. Connect's gRPC-Web client beside it."""

from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from smart_audit.stack.contract import descriptor_set
from tests.support.browser import chromium_beside_servers
from tests.support.node import CLIENT
from tests.support.world import free_port

PAGE = Path(__file__).parent / "page.html"
LIMIT_MS = 60_000


@asynccontextmanager
async def front_end(built):
    """Serve the page and what it imports; yields the port."""

    async def page(request):
        return web.FileResponse(PAGE)

    async def descriptors(request):
        return web.Response(body=descriptor_set())

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/descriptors.pb", descriptors)
    app.router.add_static("/dist", built)
    app.router.add_static("/node_modules", CLIENT / "node_modules")
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield port
    finally:
        await runner.cleanup()


async def test_a_front_end_of_an_allowed_origin_does_its_work(gateway, built):
    async with front_end(built) as port:
        # The origin that is allowed has a port of its own, which somebody else may be using.
        rule = f"--host-resolver-rules=MAP localhost:3000 127.0.0.1:{port}"
        async with chromium_beside_servers(rule) as browser:
            page = await browser.new_page()
            page.set_default_timeout(LIMIT_MS)
            await page.goto("http://localhost:3000/")
            await page.wait_for_function("window.frontEnd !== undefined")
            found = await page.evaluate("(url) => window.frontEnd(url)", gateway.url)
            assert found == {
                "email": True,
                "recorded": found["recorded"],
                "listed": [found["recorded"]],
                "tailed": found["recorded"],
                "overGrpcWeb": found["recorded"],
                "refused": [True, "INVALID_ARGUMENT", True],
                "denied": "TOKEN_MISSING",
            }
            await page.goto(f"http://localhost:{port}/")
            await page.wait_for_function("window.frontEnd !== undefined")
            refused = "(url) => window.frontEnd(url).catch((error) => error.name)"
            assert await page.evaluate(refused, gateway.url) == "ConnectionError"
