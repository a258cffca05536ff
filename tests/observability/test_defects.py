"""A defect is reported, and nothing that could be a secret with it."""

import asyncio

from tests.support.world import PASSWORD


async def test_a_crash_is_reported_without_any_value(observed):
    database = observed.gateway.world.database
    headers = {"authorization": f"Bearer {observed.user.access_token}", "x-request-id": "crash-1"}
    await database.alter("ALTER TABLE auth.users RENAME TO users_away")
    try:
        crashed = await observed.gateway.http.get("/auth/me", headers=headers)
        await observed.gateway.http.post(
            "/auth/login", json={"email": observed.user.email, "password": PASSWORD}
        )
    finally:
        await database.alter("ALTER TABLE auth.users_away RENAME TO users")
    assert crashed.status_code == 500
    async with asyncio.timeout(20):
        while len(observed.defects.events()) < 2:
            await asyncio.sleep(0.05)
    first, *_ = observed.defects.events()
    assert first["tags"] == {
        "service": "auth",
        "method": "/smart_audit.api.auth.v1.AuthService/GetMe",
        "request_id": "crash-1",
    }
    # The exception that was raised, and that of the driver behind it.
    exceptions = first["exception"]["values"]
    assert {one["type"] for one in exceptions} == {"ProgrammingError", "UndefinedTable"}
    frames = [frame for one in exceptions for frame in one["stacktrace"]["frames"]]
    assert "smart_audit.auth.repository.users" in {frame["module"] for frame in frames}
    assert set().union(*frames) <= {"filename", "module", "function", "lineno", "in_app"}
    told = "".join(observed.defects.bodies)
    for secret in (
        PASSWORD,
        observed.user.email,
        observed.user.access_token,
        "users_away",
        "auth.users",
        observed.auth.environment["AUTH_DATABASE_URL"],
        "test-only",
    ):
        assert secret not in told
    assert observed.user.id not in told
