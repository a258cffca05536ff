"""The description of the API: valid, complete, and as the protos say."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from smart_audit.stack import contract

FORMATS = Draft202012Validator.FORMAT_CHECKER
DOCUMENT = Path(__file__).parents[2] / "gateway" / "openapi.json"


@pytest.fixture(scope="module")
def document():
    return json.loads(DOCUMENT.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def operations(document):
    return {
        operation["operationId"]: (verb, path, operation)
        for path, item in document["paths"].items()
        for verb, operation in item.items()
    }


def test_it_is_valid_openapi(document):
    assert document["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_every_path_of_the_gateway_is_described_and_nothing_internal(document):
    offered = {
        path.replace("=**}", "}")
        for method in contract.methods()
        if not method.internal
        for path in method.json_paths
    }
    assert offered == set(document["paths"])
    internal = [method for method in contract.methods() if method.internal]
    assert internal
    text = json.dumps(document)
    for method in internal:
        assert f'"{method.path.rpartition("/")[2]}"' not in text


def test_a_request_has_the_limits_of_the_protos_and_an_answer_has_all_plain_fields(document):
    schemas = document["components"]["schemas"]
    sent, answered = schemas["EventInput"], schemas["Event"]
    assert sent["required"] == ["action", "actor", "outcome"]
    assert sent["properties"]["action"]["maxLength"] == 200
    assert sent["properties"]["targets"]["maxItems"] == 64
    assert sent["properties"]["id"]["format"] == "uuid"
    assert sent["properties"]["outcome"]["not"] == {"enum": ["OUTCOME_UNSPECIFIED"]}
    assert "log_index" not in sent["properties"]
    assert answered["properties"]["log_index"]["type"] == "string"
    assert {"id", "targets", "outcome", "log_index"} <= set(answered["required"])
    assert "occurred_at" not in answered["required"]
    hash_ = schemas["InclusionProof"]["properties"]["leaf_hash"]
    assert hash_["contentEncoding"] == "base64"
    one_of = schemas["PlaceHoldRequest"]["oneOf"]
    assert one_of == [{"required": [name]} for name in ("subject", "target_id", "period")]


def test_path_query_and_body_are_told_apart(operations):
    _, path, disclose = operations["DiscloseEvent"]
    assert path == "/v1/events/{event_id}:disclose"
    assert [(one["name"], one["in"]) for one in disclose["parameters"]] == [("event_id", "path")]
    _, _, listed = operations["ListEvents"]
    assert {one["in"] for one in listed["parameters"]} == {"query"}
    assert "requestBody" not in listed
    verb, _, form = operations["Token"]
    assert verb == "post"
    assert list(form["requestBody"]["content"]) == ["application/x-www-form-urlencoded"]


def test_the_first_front_ends_paths_stand_beside_the_later_ones(operations):
    assert operations["Signup"][:2] == ("post", "/auth/signup")
    assert operations["SignupAtV1AuthSignup"][:2] == ("post", "/v1/auth/signup")


def test_who_may_call_is_told(operations):
    assert operations["Signup"][2]["security"] == []
    assert operations["ListEvents"][2]["security"] == [{"bearer": ["events.read"]}]
    assert operations["GetTile"][2]["security"] == [{"bearer": []}, {}]


def test_refusals_are_told_by_status_with_their_reasons(operations):
    _, _, record = operations["RecordEvent"]
    assert record["responses"]["409"]["x-reasons"] == ["EVENT_ID_CONFLICT"]
    assert record["responses"]["403"]["x-reasons"] == ["ORGANISATION_FORBIDDEN", "SCOPE_MISSING"]
    assert record["responses"]["401"] == {"$ref": "#/components/responses/Unauthenticated"}
    _, _, login = operations["Login"]
    assert "CREDENTIALS_INVALID" in login["responses"]["401"]["x-reasons"]


def test_streams_and_files_have_their_media_types(operations):
    def media(name):
        return set(operations[name][2]["responses"]["200"]["content"])

    assert media("TailEventsAsLines") == {"application/x-ndjson"}
    assert media("TailEventsAsServerSentEvents") == {"text/event-stream"}
    assert media("GetTile") == {"application/octet-stream"}
    assert "text/csv" in media("ExportEvents")


def test_the_examples_are_what_the_schemas_ask_for(document, operations):
    found = 0
    for _, _, operation in operations.values():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            if "example" in content:
                found += 1
                schema = {**content["schema"], "components": document["components"]}
                Draft202012Validator(schema, format_checker=FORMATS).validate(content["example"])
    assert found >= 8
