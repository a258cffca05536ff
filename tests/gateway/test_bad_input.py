"""Bad input is refused by its fault: a precise status and reason, and the field by its name.

Each request goes two ways, as JSON through the gateway and as gRPC straight to the service, and is
refused for the same reason on both.
"""

import base64
from dataclasses import dataclass, field

import grpc.aio
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from smart_audit.api.audit.v1 import analytics_pb2, audit_pb2, governance_pb2, tiles_pb2
from tests.gateway.test_json import error_of
from tests.support.events import event, record, settled
from tests.support.world import read_refusal

LARGEST = 2**63 - 1
# More than the log of these tests will hold: some of their refusals are events of it, too.
SIZE = 1000
# Events of the caller's log, and of somebody else's.
OWN, OTHER = "01890a5d-ac96-7ab2-80e2-000000000001", "01890a5d-ac96-7ab2-80e2-000000000002"
INVALID, MISSING = 3, 5
PREFIX = "/smart_audit.api.audit.v1."
METHODS = {
    analytics_pb2.AggregateEventsRequest: (
        "AnalyticsService/AggregateEvents",
        "POST /v1/events:aggregate",
    ),
    audit_pb2.GetEventRequest: ("EventService/GetEvent", "GET /v1/events/{event_id}"),
    audit_pb2.GetEventProofRequest: (
        "EventService/GetEventProof",
        "GET /v1/events/{event_id}/proof",
    ),
    audit_pb2.DiscloseEventRequest: (
        "EventService/DiscloseEvent",
        "POST /v1/events/{event_id}:disclose",
    ),
    audit_pb2.ListEventsRequest: ("EventService/ListEvents", "GET /v1/events"),
    audit_pb2.RecordEventsRequest: ("EventService/RecordEvents", "POST /v1/events:batch"),
    audit_pb2.ListCheckpointsRequest: ("LogService/ListCheckpoints", "GET /v1/log/checkpoints"),
    audit_pb2.GetInclusionProofRequest: (
        "LogService/GetInclusionProof",
        "GET /v1/log/proofs/inclusion",
    ),
    audit_pb2.GetConsistencyProofRequest: (
        "LogService/GetConsistencyProof",
        "GET /v1/log/proofs/consistency",
    ),
    governance_pb2.ListHoldsRequest: ("GovernanceService/ListHolds", "GET /v1/holds"),
    governance_pb2.ReleaseHoldRequest: (
        "GovernanceService/ReleaseHold",
        "POST /v1/holds/{hold_id}:release",
    ),
    tiles_pb2.GetTileRequest: ("TileService/GetTile", "GET /v1/logs/{organisation_id}/tile/{path}"),
    tiles_pb2.GetLogKeyRequest: ("TileService/GetLogKey", "GET /v1/logs/{organisation_id}/key"),
}


@dataclass(frozen=True)
class Bad:
    """A request, and how it is refused: field by field, or by reason alone."""

    request: Message
    fields: list[str] = field(default_factory=list)
    reason: str = "INVALID_ARGUMENT"
    code: int = INVALID

    def __str__(self) -> str:
        said = str(self.request).replace("\n", " ")
        return f"{type(self.request).__name__}({said[:60].strip()})"


def inclusion(fields, reason="INVALID_ARGUMENT", code=INVALID, **wanted):
    return Bad(audit_pb2.GetInclusionProofRequest(**wanted), fields, reason, code)


def consistency(fields, reason="INVALID_ARGUMENT", code=INVALID, **wanted):
    return Bad(audit_pb2.GetConsistencyProofRequest(**wanted), fields, reason, code)


def listing(fields, reason="INVALID_ARGUMENT", **wanted):
    return Bad(audit_pb2.ListEventsRequest(**wanted), fields, reason)


def counting(fields, reason="AGGREGATION_INVALID", **wanted):
    return Bad(analytics_pb2.AggregateEventsRequest(**wanted), fields, reason)


def disclosing(fields, names, reason="INVALID_ARGUMENT"):
    return Bad(audit_pb2.DiscloseEventRequest(event_id=OWN, fields=names), fields, reason)


def tile(path, reason="TILE_PATH_INVALID"):
    return Bad(tiles_pb2.GetTileRequest(organisation_id=OWN, path=path), ["path"], reason)


def not_found(request, reason="EVENT_NOT_FOUND"):
    return Bad(request, [], reason, MISSING)


def token(content):
    return base64.urlsafe_b64encode(content).decode()


NO_TOKENS = [
    "not-a-token",
    token(b'["x",1,1]'),
    token(b"[" * 200),
    token(b'["x",%d,1]' % 10**40),
    token(b'["ListCheckpointsRequest",-1]'),
    token(b'["ListCheckpointsRequest",%d]' % 2**63),
    token(b'["ListCheckpointsRequest",1.5]'),
    token(b"[%d,%d]" % (2**62, 1)),
    token(b"null"),
]
NO_FILTERS = [
    "acton=a",
    'action="a',
    "action=%27; DROP TABLE audit.entries; --",
    "actor.email<a",
    "occurred_at>yesterday",
    "a\0b",
    "\N{SNOWMAN} OR",
    "a" * 4097,
]
REQUESTS = [
    counting(["group_by"], group_by=["colour"]),
    counting(["count_distinct"], count_distinct=["'; DROP TABLE audit.logs"]),
    counting(["time_zone"], time_zone="/etc/passwd"),
    counting(["top"], "INVALID_ARGUMENT", top=-1),
    counting(["filter"], "FILTER_INVALID", filter="action="),
    # Another organisation's event is an event that there is not.
    not_found(audit_pb2.GetEventRequest(event_id=OTHER)),
    not_found(audit_pb2.GetEventRequest(event_id=OTHER, proof=True)),
    not_found(audit_pb2.GetEventProofRequest(event_id=OTHER)),
    not_found(audit_pb2.DiscloseEventRequest(event_id=OTHER, fields=["actor.name"])),
    not_found(audit_pb2.GetInclusionProofRequest(event_id=OTHER)),
    not_found(audit_pb2.GetConsistencyProofRequest(first_event_id=OTHER)),
    not_found(audit_pb2.GetInclusionProofRequest(leaf_hash=bytes(32)), "LEAF_NOT_FOUND"),
    not_found(audit_pb2.GetConsistencyProofRequest(first_leaf_hash=bytes(32)), "LEAF_NOT_FOUND"),
    not_found(governance_pb2.ReleaseHoldRequest(hold_id=OWN), "HOLD_NOT_FOUND"),
    Bad(audit_pb2.GetEventRequest(event_id="no-uuid"), ["event_id"]),
    Bad(audit_pb2.GetEventProofRequest(event_id=f"{{{OWN}}}"), ["event_id"]),
    Bad(audit_pb2.DiscloseEventRequest(event_id="1"), ["event_id"]),
    Bad(audit_pb2.RecordEventsRequest(), ["events"]),
    # Places and sizes.
    inclusion(["leaf"]),
    inclusion(["event_id"], event_id="no-uuid"),
    inclusion(["log_index"], log_index=-1),
    inclusion(["log_index"], log_index=-LARGEST),
    inclusion(["log_index"], "LOG_RANGE_INVALID", log_index=SIZE),
    inclusion(["log_index"], "LOG_RANGE_INVALID", log_index=LARGEST),
    inclusion(["log_index"], "LOG_RANGE_INVALID", log_index=2, tree_size=2),
    inclusion(["tree_size"], "LOG_RANGE_INVALID", event_id=OWN, tree_size=2),
    inclusion(["tree_size"], tree_size=-1, log_index=0),
    inclusion(["tree_size"], "LOG_RANGE_INVALID", tree_size=SIZE + 1, log_index=0),
    inclusion(["tree_size"], "LOG_RANGE_INVALID", tree_size=LARGEST, log_index=0),
    inclusion(["leaf_hash"], leaf_hash=b""),
    inclusion(["leaf_hash"], leaf_hash=bytes(31)),
    inclusion(["leaf_hash"], leaf_hash=bytes(33)),
    consistency(["first_size"]),
    consistency(["first_size"], second_size=2),
    consistency(["first_size"], first_size=-1),
    consistency(["first_size"], first_size=1, first_event_id=OWN),
    consistency(["first_size"], "LOG_RANGE_INVALID", first_size=3, second_size=2),
    consistency(["first_size"], "LOG_RANGE_INVALID", first_size=SIZE + 1),
    consistency(["first_size"], "LOG_RANGE_INVALID", first_size=LARGEST),
    consistency(["second_size"], "LOG_RANGE_INVALID", second_size=2, first_event_id=OWN),
    consistency(["second_size"], first_size=1, second_size=-1),
    consistency(["second_size"], "LOG_RANGE_INVALID", first_size=1, second_size=SIZE + 1),
    consistency(["second_size"], "LOG_RANGE_INVALID", first_size=1, second_size=LARGEST),
    consistency(["first_event_id"], first_event_id="no-uuid"),
    consistency(["first_leaf_hash"], first_leaf_hash=bytes(16)),
    # Pages.
    listing(["page_size"], page_size=-1),
    listing(["page_token"], page_token="x" * 513),
    listing(["actor_id"], actor_id="x" * 257),
    *(listing(["page_token"], "PAGE_TOKEN_INVALID", page_token=one) for one in NO_TOKENS),
    *(listing(["filter"], "FILTER_INVALID", filter=one) for one in NO_FILTERS),
    listing(["order_by"], "ORDER_BY_INVALID", order_by="action desc"),
    *(
        Bad(audit_pb2.ListCheckpointsRequest(page_token=one), ["page_token"], "PAGE_TOKEN_INVALID")
        for one in NO_TOKENS
    ),
    *(
        Bad(governance_pb2.ListHoldsRequest(page_token=one), ["page_token"], "PAGE_TOKEN_INVALID")
        for one in NO_TOKENS
    ),
    # Disclosures.
    disclosing(["fields"], ["actor.phone"], "FIELD_UNKNOWN"),
    disclosing(["fields"], ["targets.1.name"], "FIELD_UNKNOWN"),
    disclosing(["fields"], ["actor.name", "action"], "FIELD_UNKNOWN"),
    disclosing(["fields[0]"], [""]),
    disclosing(["fields[1]"], ["actor.name", "x" * 65]),
    disclosing(["fields"], ["actor.name"] * 129),
    # Files of a log.
    tile("-1/000"),
    tile("0/-01"),
    tile("64/000"),
    tile("0/000.p/0"),
    tile("0/000.p/257"),
    tile("0/x999/x999/x999/x999/x999/x999/999"),
    tile("0/18446744073709551616"),
    tile("entries/0"),
    tile("0" * 65, "INVALID_ARGUMENT"),
    Bad(tiles_pb2.GetTileRequest(organisation_id="x", path="0/000"), ["organisation_id"]),
    Bad(tiles_pb2.GetLogKeyRequest(organisation_id="x"), ["organisation_id"]),
]


@pytest.fixture(scope="module")
async def user(gateway):
    """Whose log begins with three entries: a signup, a login, and the event OWN."""
    other = await gateway.world.signed_up()
    await record(gateway.world, other, event(id=OTHER))
    owner = await gateway.world.signed_up()
    await settled(gateway.world, owner)
    await record(gateway.world, owner, event(id=OWN))
    return owner


@pytest.mark.parametrize("bad", REQUESTS, ids=str)
async def test_bad_input_is_refused_by_its_fault_over_grpc(gateway, user, bad):
    refused = await _refusal(gateway, user, METHODS[type(bad.request)][0], _bytes(bad.request))
    assert refused.code.value[0] == bad.code
    assert (refused.reason, list(refused.fields)) == (bad.reason, bad.fields)
    assert all(refused.fields.values())


@pytest.mark.parametrize("bad", REQUESTS, ids=str)
async def test_bad_input_is_refused_by_its_fault_over_json(gateway, user, bad):
    method, template = METHODS[type(bad.request)][1].split(" ")
    content = json_format.MessageToDict(bad.request, preserving_proto_field_name=True)
    path = template.format(**content)
    rest = {name: one for name, one in content.items() if f"{{{name}}}" not in template}
    given = {"params": rest} if method == "GET" else {"json": rest}
    answer = await gateway.http.request(method, path, headers=_headers(user), **given)
    status = {INVALID: 400, MISSING: 404}[bad.code]
    assert error_of(answer) == (status, bad.code, bad.reason, bad.fields)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/log/proofs/inclusion?log_index=1.5", None),
        ("GET", "/v1/log/proofs/inclusion?log_index=one", None),
        ("GET", f"/v1/log/proofs/inclusion?log_index={2**63}", None),
        ("GET", "/v1/log/proofs/inclusion?leaf_hash=*", None),
        ("GET", f"/v1/log/proofs/consistency?first_size={10**30}", None),
        ("GET", "/v1/events?outcome=PERHAPS", None),
        ("GET", "/v1/events?outcome=7", None),
        ("GET", "/v1/events?page_token=%FF", None),
        ("GET", "/v1/events?page_token=a&unknown=1", None),
        ("GET", "/v1/events/%FF", None),
        ("GET", f"/v1/events/{OWN}?event_id={OTHER}", None),
        ("GET", f"/v1/events/{OWN}/proof?eventId={OTHER}", None),
        ("POST", f"/v1/events/{OWN}:disclose", '{"fields":[1]}'),
        ("POST", f"/v1/events/{OWN}:disclose", '{"fields":'),
        ("POST", f"/v1/events/{OWN}:disclose?event_id={OTHER}", '{"fields":[]}'),
        ("POST", f"/v1/events/{OWN}:disclose", f'{{"event_id":"{OTHER}"}}'),
        ("POST", "/v1/events", '{"metadata":' + '{"a":' * 60 + "1" + "}" * 61),
    ],
)
async def test_what_cannot_be_read_is_a_400(gateway, user, method, path, body):
    answer = await gateway.http.request(method, path, content=body, headers=_headers(user))
    assert error_of(answer) == (400, INVALID, "INVALID_REQUEST", [])
    assert "<class" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("GET", "/v1/events?page_size=many", None, "page_size"),
        ("GET", "/v1/events?nope=1", None, "nope"),
        ("POST", "/v1/events", '{"outcome":"SUCCESS"}', "event.outcome"),
        ("POST", "/v1/events", '{"occurred_at":"now"}', "event.occurred_at"),
        ("POST", "/v1/events", '{"actor":{"id":1}}', "event.actor.id"),
        ("POST", "/v1/events", '{"metadata":' + '{"a":' * 200 + "1" + "}" * 201, "too deep"),
        ("POST", "/v1/events", '{"action":"a"', "end of string"),
        ("POST", "/v1/holds", '{"subject":3}', "subject"),
        ("POST", "/v1/events", b'{"outcome":"\\u0000\\"\\n%REQ(authorization)%"}', "%REQ("),
    ],
)
async def test_what_cannot_be_read_is_named(gateway, user, method, path, body, named):
    answer = await gateway.http.request(method, path, content=body, headers=_headers(user))
    assert error_of(answer) == (400, INVALID, "INVALID_REQUEST", [])
    assert named in answer.json()["message"]
    assert user.access_token not in answer.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/auth/login", '{"email":"a@b.example","password":31337}'),
        ("/auth/login", '{"email":"a@b.example","password":hunter31337}'),
        ("/auth/login", '{"email":"a@b.example","password":"31337'),
        ("/auth/refresh", '{"refresh_token":{"31337":1}}'),
        ("/v1/auth/password:change", '{"current_password":31337}'),
        # Nobody asks for a token here.
        ("/v1/auth/password:requestReset", '{"email":31337}'),
    ],
)
async def test_a_secret_that_cannot_be_read_is_not_repeated(gateway, user, path, body):
    answer = await gateway.http.post(path, content=body, headers=_headers(user))
    assert error_of(answer) == (400, INVALID, "INVALID_REQUEST", [])
    assert "31337" not in answer.text
    assert "of its field's type" in answer.json()["message"]


async def test_what_needs_no_token_repeats_no_value(gateway, user):
    path = f"/v1/logs/{user.organisation_id}/checkpoint?cosigned=31337"
    answer = await gateway.http.get(path)
    assert error_of(answer) == (400, INVALID, "INVALID_REQUEST", [])
    assert "31337" not in answer.text


async def test_a_path_with_a_slash_at_its_end_is_no_path(gateway, user):
    for path in (f"/v1/events/{OWN}/", "/v1/events/", f"/v1/logs/{user.organisation_id}/key/"):
        answer = await gateway.http.get(path, headers=_headers(user))
        assert error_of(answer) == (404, MISSING, "ROUTE_NOT_FOUND", [])


@pytest.mark.parametrize(
    "data",
    [b"\xff", b"\x0a\x01\xff", b"\x0a\x7f", b"\x0a" * 100],
    ids=["no field", "no UTF-8", "cut off", "nonsense"],
)
async def test_bytes_that_are_no_message_are_refused(gateway, user, data):
    refused = await _refusal(gateway, user, "EventService/GetEvent", data)
    assert (refused.code.value[0], refused.reason) == (INVALID, "INVALID_REQUEST")
    assert "<class" not in refused.message


@pytest.mark.parametrize("length", [6_000, 9_000, 14_000, 30_000])
async def test_long_headers_of_others_do_not_matter(gateway, user, length):
    headers = _headers(user) | {"cookie": "x" * length}
    for _ in range(5):
        answer = await gateway.http.get(f"/v1/events/{OWN}", headers=headers)
        assert answer.status_code == 200


async def _refusal(gateway, user, method, data):
    """How the service refuses these bytes."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.world.audit_port}") as channel:
        call = channel.unary_unary(f"{PREFIX}{method}")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(data, metadata=user.metadata)
    return read_refusal(refused.value)


def _bytes(request):
    return request.SerializeToString()


def _headers(user):
    return {"authorization": f"Bearer {user.access_token}"}
