"""One trace from the client over gateway and services to the database, and no value in it."""

import json
import secrets

from tests.support.world import PASSWORD

GATEWAY, AUTH, AUDIT = "smart-audit-gateway", "smart-audit-auth", "smart-audit-audit"
LOGIN = "smart_audit.api.auth.v1.AuthService/Login"
RECORD = "smart_audit.api.audit.v1.EventService/RecordEvents"
LISTING = "smart_audit.api.audit.v1.EventService/ListEvents"


def of(spans, service, name):
    return [span for span in spans if (span.service, span.name) == (service, name)]


async def test_a_trace_goes_from_the_client_to_the_statements_of_both_services(observed):
    trace, parent = secrets.token_hex(16), secrets.token_hex(8)
    context = {"traceparent": f"00-{trace}-{parent}-01", "user-agent": "a-known-browser"}
    listing = await observed.gateway.http.get(
        "/v1/events",
        params={"filter": "actor.name=Grace"},
        headers=context | {"authorization": f"Bearer {observed.user.access_token}"},
    )
    assert listing.status_code == 200
    answer = await observed.gateway.http.post(
        "/auth/login",
        json={"email": observed.user.email, "password": PASSWORD},
        headers=context,
    )
    assert answer.status_code == 200

    # The event of the login comes last: by the outbox, and so after the answer. The listing appends
    # one too, that of the read.
    spans = await observed.collector.until(
        lambda found: (
            len(of(found, AUDIT, "append")) == 2 and len(of(found, GATEWAY, "ingress")) == 2
        ),
        trace,
    )
    by_id = {span.id: span for span in spans}
    assert {span.parent for span in spans if span.parent not in by_id} == {parent}

    def way(span):
        """The names from the client to a span."""
        names = []
        while span is not None:
            names.insert(0, f"{span.service.removeprefix('smart-audit-')} {span.name}")
            span = by_id.get(span.parent)
        return names

    assert sorted(way(span) for span in of(spans, AUDIT, "append")) == [
        ["gateway ingress", f"audit {LISTING}", "audit append"],
        [
            "gateway ingress",
            f"auth {LOGIN}",
            "auth outbox",
            f"auth {RECORD}",
            f"audit {RECORD}",
            "audit append",
        ],
    ]
    selects = [span for span in of(spans, AUTH, "SELECT") if way(span)[-2] == f"auth {LOGIN}"]
    assert any("FROM auth.users" in span.attributes["db.query.text"] for span in selects)
    (login,) = of(spans, AUTH, LOGIN)
    assert login.attributes["smart_audit.request_id"] == answer.headers["x-request-id"]
    paths = {span.attributes["http.url"] for span in of(spans, GATEWAY, "ingress")}
    assert paths == {"/v1/events", "/auth/login"}
    tokens = (observed.user.access_token, answer.json()["access_token"])
    for secret in (PASSWORD, observed.user.email, *tokens, "known-browser", "Grace"):
        assert secret.encode() not in observed.collector.raw


async def test_lines_of_the_log_name_their_trace(observed):
    trace = secrets.token_hex(16)
    await observed.gateway.http.get(
        "/auth/me",
        headers={
            "traceparent": f"00-{trace}-{secrets.token_hex(8)}-01",
            "authorization": f"Bearer {observed.user.access_token}",
        },
    )
    spans = await observed.collector.until(
        lambda found: any(span.service == AUTH and "GetMe" in span.name for span in found), trace
    )
    lines = [json.loads(line) for line in observed.auth.log.read_text().splitlines()]
    (line,) = [line for line in lines if line.get("trace_id") == trace]
    assert line["event"] == "rpc.handled"
    assert line["span_id"] in {span.id for span in spans}
