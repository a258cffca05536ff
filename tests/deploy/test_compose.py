"""The compose file: valid by the published schema, wired right, and hardened."""

import json
import re

import pytest
import yaml
from jsonschema import Draft7Validator

from smart_audit.core.settings import DEVELOPMENT_KEY
from tests.deploy.test_env_example import of_gateway, of_service
from tests.support.images import DOCKERFILES, ROOT, steps

SCHEMA = ROOT / "tests" / "data" / "compose" / "compose-spec.json"
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::-([^}]*))?\}")
# The gateway takes tokens of one audience only.
FIXED = {"AUTH_AUDIENCE", "AUDIT_AUDIENCE"}
# Where a container reaches the others by name.
PLACES = re.compile(r"\b(db|auth|audit):\d+")


@pytest.fixture(scope="session")
def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="session")
def services(compose):
    return compose["services"]


def environment(service):
    """What a container gets when nothing is set: names without a value are left out."""
    return {
        name: VARIABLE.sub(lambda match: match[2], str(value))
        for name, value in service["environment"].items()
        if value is not None
    }


def test_the_compose_file_is_valid(compose):
    schema = Draft7Validator(json.loads(SCHEMA.read_text()))
    schema.validate(compose)
    # The schema does look: a word that compose does not know is an error.
    compose = {**compose, "services": {"db": {"image": "postgres", "retsart": "always"}}}
    assert [error.validator for error in schema.iter_errors(compose)] == ["additionalProperties"]


def test_secrets_may_be_files(services):
    extra = yaml.safe_load((ROOT / "deploy" / "docker" / "secrets.yml").read_text())
    Draft7Validator(json.loads(SCHEMA.read_text())).validate(extra)
    for name, service in extra["services"].items():
        assert service["environment"] == {"SECRETS_DIR": "/run/secrets"}
        assert set(service["secrets"]) <= set(services[name]["environment"])
        assert set(service["secrets"]) <= set(extra["secrets"])
    for name, secret in extra["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}


def test_nothing_has_to_be_set():
    text = (ROOT / "docker-compose.yml").read_text()
    assert [name for name, default in VARIABLE.findall(text) if not default] == []


@pytest.mark.parametrize("name", ["auth", "audit"])
def test_a_service_gets_its_settings_and_no_others(services, name):
    prefix = f"{name.upper()}_"
    migration = f"{prefix}MIGRATION_DATABASE_URL"
    serving, migrating = services[name], services[f"{name}-migrate"]
    assert set(serving["environment"]) == of_service(prefix) - FIXED - {migration}
    assert set(migrating["environment"]) == set(serving["environment"]) | {migration}
    assert serving["environment"].items() <= migrating["environment"].items()
    assert migrating["command"] == ["migrate"]
    assert environment(serving)[f"{prefix}KEY_ENCRYPTION_KEY"] == DEVELOPMENT_KEY
    assert environment(serving)["ENV"] == "development"


def test_the_gateway_gets_its_settings_and_the_issuer_of_the_services(services):
    found = environment(services["gateway"])
    assert set(services["gateway"]["environment"]) == of_gateway()
    issuers = {
        environment(services["auth"])["AUTH_ISSUER"],
        environment(services["audit"])["AUDIT_ISSUER"],
    }
    assert issuers == {found["GATEWAY_ISSUER"]}


def test_each_place_is_a_service_that_listens_there(services):
    listening = {"db:5432", "redis:6379"}
    for name in ("auth", "audit"):
        listening.add(f"{name}:{environment(services[name])[f'{name.upper()}_PORT']}")
    for service in services.values():
        for name, value in environment(service).items():
            for match in PLACES.finditer(value):
                assert match[0] in listening, name


def test_everything_starts_in_order_and_listens_on_loopback_only(services):
    order = {
        "auth-migrate": {"db": "service_healthy"},
        "audit-migrate": {"auth-migrate": "service_completed_successfully"},
        "auth": {
            "auth-migrate": "service_completed_successfully",
            "redis": "service_healthy",
        },
        "audit": {"audit-migrate": "service_completed_successfully"},
        "gateway": {"auth": "service_healthy", "audit": "service_healthy"},
    }
    needs = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    assert needs == {"db": {}, "redis": {}} | order
    # Redis is there only if somebody asks for it.
    assert services["redis"]["profiles"] == ["redis"]
    assert services["auth"]["depends_on"]["redis"]["required"] is False
    for name in ("db", "redis"):
        assert services[name]["healthcheck"]["test"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_database_is_an_image_with_pgvector_that_runs_our_sql(services):
    db = services["db"]
    assert re.fullmatch(r"pgvector/pgvector:0\.8\.\d+-pg18-\w+", db["image"])
    mounts = [mount.split(":") for mount in db["volumes"]]
    (script,) = [source for source, *_ in mounts if source.startswith("./")]
    assert (ROOT / script).is_file()
    assert "pg_isready" in db["healthcheck"]["test"]


def test_containers_are_held_to_limits_and_write_only_where_they_may(services):
    for name, service in services.items():
        limits = service["deploy"]["resources"]["limits"]
        assert set(limits) == {"cpus", "memory", "pids"}, name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}
        assert "no-new-privileges:true" in service["security_opt"]
        if name != "db":
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
    for name in DOCKERFILES:
        folder = dict(steps(name)[-1])["WORKDIR"]
        places = [*services[name].get("volumes", []), *services[name].get("tmpfs", [])]
        assert len(places) == 1
        assert folder in places[0].split(":")


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_is_built_of_its_dockerfile_and_listens_where_the_others_look(services, name):
    assert services[name]["build"] == {"context": ".", "dockerfile": DOCKERFILES[name]}
    port = environment(services[name])[f"{name.upper()}_PORT"]
    assert dict(steps(name)[-1])["EXPOSE"] == port
