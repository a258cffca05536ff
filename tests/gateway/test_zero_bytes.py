"""A zero byte, which no text of Postgres can hold, is kept or refused, and breaks nothing."""

ZERO = "a\0b"
EVENT = {"action": "document.delete", "actor": {"id": "u_1"}, "outcome": "OUTCOME_SUCCESS"}
TYPE = {"action": "document.delete"}
BODIES = [
    ("/v1/events", {**EVENT, "source": ZERO}),
    ("/v1/events", {**EVENT, "outcome_reason": ZERO}),
    ("/v1/events", {**EVENT, "user_agent": ZERO, "source_address": ZERO}),
    ("/v1/events", {**EVENT, "actor": {"id": "u_1", "type": ZERO, "name": ZERO, "email": ZERO}}),
    ("/v1/events", {**EVENT, "targets": [{"id": "d_1", "type": ZERO, "name": ZERO}]}),
    ("/v1/events", {**EVENT, "metadata": {ZERO: ZERO}}),
    ("/v1/holds", {"target_id": "d_1", "reason": ZERO}),
    ("/v1/holds", {"subject": {"id": "u_1", "type": ZERO}, "reason": "case 1"}),
    ("/v1/subjects:erase", {"subject": {"id": "u_1", "type": ZERO}}),
    ("/v1/subjects:erase", {"subject": {"id": "u_2"}, "reason": ZERO}),
    ("/v1/event-types:upsert", {"event_types": [{**TYPE, "description": ZERO}]}),
    ("/v1/event-types:upsert", {"event_types": [{**TYPE, "metadata_schema": {"title": ZERO}}]}),
    *(
        ("/v1/saved-searches", {"name": field, field: ZERO})
        for field in ("query", "filter", "order_by", "group_by")
    ),
    ("/v1/exports", {"filter": f'action="{ZERO}"'}),
    ("/v1/events:search", {"query": "who", "filter": f'source="{ZERO}"'}),
    ("/v1/events:aggregate", {"filter": f'source="{ZERO}"', "time_zone": ZERO}),
    ("/v1/filters:complete", {"filter": f'source="{ZERO}"'}),
    ("/v1/auth/me:delete", {"confirm_email": ZERO}),
]


async def test_a_zero_byte_breaks_nothing(gateway):
    user = await gateway.world.new_user()
    headers = {"authorization": f"Bearer {user.access_token}"}
    person = {**EVENT, "actor": {"id": "u_2", "name": "Ada"}}
    await gateway.http.post("/v1/events", json=person, headers=headers)
    broken = []
    for path, body in BODIES:
        answer = await gateway.http.post(path, json=body, headers=headers)
        if answer.status_code not in (200, 400, 404):
            broken.append((path, body, answer.status_code))
    assert "\n".join(map(str, broken)) == ""
