"""Questions in words as JSON, through a real Envoy."""

from uuid import uuid4

import pytest

from tests.gateway.test_json import error_of, user  # noqa: F401  (a fixture)


def event(action, **changes):
    actor = {"id": "u_1", "name": "Ada Lovelace"}
    fields = {"id": str(uuid4()), "action": action, "actor": actor, "outcome": "OUTCOME_SUCCESS"}
    return fields | changes


@pytest.mark.parametrize("method", ["post", "get"])
async def test_questions_are_answered_as_json(gateway, user, method):  # noqa: F811
    events = [event("document.delete"), event("document.delete"), event("door.open")]
    recorded = await gateway.http.post(
        "/v1/events:batch", json={"events": events}, headers=user["headers"]
    )
    assert recorded.status_code == 200
    asked = {"query": "files removed today by Ada Lovelace", "page_size": 1}
    given = {"json": asked} if method == "post" else {"params": asked}
    request = getattr(gateway.http, method)
    answer = await request("/v1/events:search", headers=user["headers"], **given)
    assert answer.status_code == 200
    body = answer.json()
    (hit,) = body["hits"]
    assert hit["event"]["action"] == "document.delete"
    assert hit["group"]["count"] == "2"
    assert hit["group"]["more"] is False
    assert hit["why"][0]["word_of_kind"]["asked"] == "files"
    assert [(one["text"], one["kind"]) for one in body["interpreted_as"]] == [
        ("today", "INTERPRETATION_KIND_TIME"),
        ("by Ada Lovelace", "INTERPRETATION_KIND_PERSON"),
    ]
    assert body["ranked_by"] == "files removed"

    listed = await gateway.http.get(
        "/v1/events", params={"filter": hit["group"]["filter"]}, headers=user["headers"]
    )
    assert [one["action"] for one in listed.json()["events"]] == ["document.delete"] * 2


async def test_a_question_that_is_wrong_is_refused(gateway, user):  # noqa: F811
    headers = user["headers"]
    empty = await gateway.http.post("/v1/events:search", json={}, headers=headers)
    assert error_of(empty) == (400, 3, "INVALID_ARGUMENT", ["query"])
    asked = {"query": "x", "filter": "actor.id="}
    bad = await gateway.http.post("/v1/events:search", json=asked, headers=headers)
    assert error_of(bad) == (400, 3, "FILTER_INVALID", ["filter"])
    nobody = await gateway.http.post("/v1/events:search", json=asked)
    assert nobody.status_code == 401
