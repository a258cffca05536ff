"""What the gateway reads from the protos, and what it asks of them."""

import re

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from smart_audit.stack import contract, gateway


def test_the_descriptors_are_complete_and_keep_the_http_rules():
    files = FileDescriptorSet.FromString(gateway.descriptor_set()).file
    seen: set[str] = set()
    for file in files:
        assert set(file.dependency) <= seen  # imports come first
        seen.add(file.name)
    assert "google/rpc/error_details.proto" in seen
    methods = [m for file in files for service in file.service for m in service.method]
    login = next(method for method in methods if method.name == "Login")
    assert login.options.Extensions[annotations_pb2.http].post == "/auth/login"


def test_public_paths_come_from_the_contract():
    public = {path for m in contract.methods() if m.public for path in (m.path, *m.json_paths)}
    assert "/auth/login" in public
    assert "/v1/auth/login" in public
    assert "/smart_audit.api.auth.v1.AuthService/Login" in public
    assert "/auth/me" not in public


@pytest.mark.parametrize(
    ("template", "pattern"),
    [
        ("/v1/events", None),
        ("/v1/events/{event_id}", "/v1/events/[^/]+"),
        ("/v1/log.x/{name=*}/tiles/{rest=**}", r"/v1/log\.x/[^/]+/tiles/.+"),
    ],
)
def test_path_templates_become_patterns(template, pattern):
    assert contract.path_pattern(template) == pattern


def test_each_secret_that_a_request_holds_is_marked():
    """By its name: what errors and logs may repeat goes by the mark."""
    secret = re.compile(
        r"(^|_)(password|token|secret|code|codes|challenge|credential|passkey|key|form)$"
    )
    harmless = {"page_token", "login_codes"}
    unmarked = [
        field.full_name
        for service in contract.service_descriptors()
        for method in service.methods
        for field in method.input_type.fields
        if secret.search(field.name)
        and field.name not in harmless
        and not field.GetOptions().debug_redact
    ]
    assert unmarked == []


def test_what_streams_to_web_clients_is_bytes():
    """Messages that the transcoder makes JSON of were cut off under back-pressure, with a 200."""
    streaming = [
        method.output_type.full_name
        for service in contract.service_descriptors()
        for method in service.methods
        if method.server_streaming and contract.bindings(method)
    ]
    assert len(streaming) >= 4
    assert set(streaming) == {"google.api.HttpBody"}
