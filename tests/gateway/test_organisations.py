"""Organisations as a web client sees them: JSON through a real Envoy."""

from uuid import uuid4

import pytest

from tests.support.world import User

EMPTY: dict[str, str] = {}


@pytest.fixture
async def user(gateway):
    return await gateway.world.new_user()


def headers(user: User) -> dict[str, str]:
    return {"authorization": f"Bearer {user.access_token}"}


async def test_an_organisation_is_made_renamed_and_switched_to(gateway, user):
    http, mine = gateway.http, headers(user)
    made = await http.post("/v1/organisations", json={"name": "Engines"}, headers=mine)
    created = made.json()["organisation"]
    assert created == {
        "id": created["id"],
        "name": "Engines",
        "sign_in_policy": "second_factor_optional",
        "login_codes": False,
    }
    answer = await http.post(
        f"/v1/organisations/{created['id']}:switch",
        json={"refresh_token": user.refresh_token},
        headers=mine,
    )
    there = {"authorization": f"Bearer {answer.json()['access_token']}"}
    changed = await http.patch("/v1/organisation", json={"login_codes": True}, headers=there)
    assert changed.json()["organisation"] == created | {"login_codes": True}
    assert (await http.get("/v1/organisation", headers=there)).json() == changed.json()
    listed = (await http.get("/v1/organisations", headers=there)).json()["memberships"]
    assert [one["current"] for one in listed] == [False, True]


async def test_members_and_invitations_have_their_paths(gateway, user):
    http, mine = gateway.http, headers(user)
    members = (await http.get("/v1/members", headers=mine)).json()["members"]
    assert [(one["user_id"], one["role"]) for one in members] == [(user.id, "owner")]
    email = f"{uuid4().hex}@example.com"
    invite = {"email": email, "role": "auditor"}
    invited = (await http.post("/v1/invitations", json=invite, headers=mine)).json()["invitation"]
    path = f"/v1/invitations/{invited['id']}"
    resent = await http.post(f"{path}:resend", json=EMPTY, headers=mine)
    assert resent.json()["invitation"]["email"] == email
    assert (await http.delete(path, headers=mine)).status_code == 200
    assert (await http.get("/v1/invitations", headers=mine)).json()["invitations"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/organisation:leave", {}, 400),
        ("PATCH", "/v1/members/{user}", {"role": "member"}, 400),
        ("DELETE", "/v1/members/{user}", None, 400),
        ("POST", "/v1/members/{user}:endSessions", {}, 200),
        ("POST", "/v1/organisation:transferOwnership", {"user_id": "{nobody}"}, 404),
        ("POST", "/v1/invitations:show", {"token": "none"}, 404),
        ("POST", "/v1/invitations:accept", {"token": "none"}, 404),
        ("POST", "/v1/invitations:decline", {"token": "none"}, 404),
        ("GET", "/v1/roles", None, 200),
    ],
)
async def test_each_path_leads_to_its_method(gateway, user, method, path, body, status):
    if body == {"user_id": "{nobody}"}:
        body = {"user_id": str(uuid4())}
    answer = await gateway.http.request(
        method, path.format(user=user.id), json=body, headers=headers(user)
    )
    assert answer.status_code == status, answer.text
