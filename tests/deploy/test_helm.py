"""The Helm chart, rendered by Helm's own engine and held against the schemas of Kubernetes."""

import json
import subprocess
import sys
from importlib.util import find_spec
from itertools import product

import kubernetes_validate
import pytest
import yaml

from smart_audit.stack.watching import METRICS_PATH
from tests.deploy.test_env_example import of_gateway, of_service
from tests.support.images import ROOT, steps

pytestmark = pytest.mark.skipif(
    find_spec("helm_python") is None, reason="Helm's engine has wheels for Linux on x86-64 only"
)
CHART = ROOT / "deploy" / "helm" / "smart-audit"
FEWEST = {"issuer": "https://id.example.com", "mail": {"host": "smtp.example.com"}}
VALUES = ("fewest", "production", "everything")
REFUSED = {
    "no issuer": ({"issuer": ""}, "issuer: set it to"),
    "no mail": ({"mail": {"host": ""}}, "mail.host: set it to"),
    "an unknown value": ({"repilcas": 3}, "repilcas"),
    "a proxy that is not counted": ({"ingress": {"enabled": True}}, "gateway.trustedHops: say"),
    "a route that is not counted": ({"httpRoute": {"enabled": True}}, "gateway.trustedHops: say"),
    "a secret in a value": ({"auth": {"settings": {"SENTRY_DSN": "https://x"}}}, "SENTRY_DSN"),
    "a wrong type": ({"auth": {"replicas": "many"}}, "replicas"),
}
# Custom resources: Kubernetes has no schema of them.
CUSTOM = {"ServiceMonitor", "HTTPRoute"}
# The newest that is known here, and the oldest that the chart takes.
NEWEST, OLDEST = kubernetes_validate.latest_version(), "1.30"
PORTS = {"auth": 50051, "audit": 50052, "gateway": 8000}


@pytest.fixture(scope="module")
def helm():
    values = {"fewest": FEWEST} | {name: FEWEST | changes for name, (changes, _) in REFUSED.items()}
    for name in VALUES[1:]:
        values[name] = yaml.safe_load((CHART / "ci" / f"{name}.yaml").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "tests.deploy.helm_render"],
        input=json.dumps(values),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def manifests(helm):
    """By name of the values: manifest by (kind, name)."""
    return {
        name: {
            (manifest["kind"], manifest["metadata"]["name"]): manifest
            for file, text in helm["rendered"][name].items()
            if file.endswith(".yaml")
            for manifest in yaml.safe_load_all(text)
            if manifest
        }
        for name in VALUES
    }


def pods(manifests):
    """The pods of deployments and jobs: (name, specification)."""
    return [
        (name, manifest["spec"]["template"]["spec"])
        for (kind, name), manifest in manifests.items()
        if kind in ("Deployment", "Job")
    ]


def variables(pod):
    (container,) = pod["containers"]
    names = [one["name"] for one in container["env"]]
    assert len(names) == len(set(names))
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


def test_the_chart_passes_lint(helm):
    warning = 2
    assert [one["error"] for one in helm["lint"] if one["severity"] >= warning] == []


@pytest.mark.parametrize("name", REFUSED)
def test_values_that_cannot_work_are_refused_with_the_remedy(helm, name):
    assert isinstance(helm["rendered"][name], str), "it was rendered"
    assert REFUSED[name][1] in helm["rendered"][name]


@pytest.mark.parametrize(("name", "version"), [*product(VALUES, [NEWEST]), ("everything", OLDEST)])
def test_every_manifest_is_valid(manifests, name, version):
    for (kind, _), manifest in manifests[name].items():
        if kind not in CUSTOM:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_each_option_makes_what_it_says(manifests):
    made = {name: {kind for kind, _ in manifests[name]} for name in VALUES}
    always = {"Deployment", "Job", "Service", "ServiceAccount", "NetworkPolicy"}
    always.add("PodDisruptionBudget")
    behind = {"HorizontalPodAutoscaler", "Ingress", "ServiceMonitor"}
    assert made["fewest"] == always
    assert made["production"] == always | behind
    assert made["everything"] == always | behind | {"HTTPRoute", "ConfigMap"}


@pytest.mark.parametrize("name", VALUES)
def test_pods_satisfy_the_restricted_standard_and_hold_no_secret(manifests, name):
    found = pods(manifests[name])
    assert len(found) == 5
    for _, pod in found:
        (container,) = pod["containers"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert ("ServiceAccount", pod["serviceAccountName"]) in manifests[name]
        for variable, value in variables(pod).items():
            secret = variable.endswith(("_KEY", "_PASSWORD", "_DATABASE_URL", "REDIS_URL", "_DSN"))
            assert isinstance(value, dict) is secret, variable
    assert "Secret" not in {kind for kind, _ in manifests[name]}


@pytest.mark.parametrize("name", VALUES)
def test_pods_have_settings_that_exist_and_probes_that_are_apart(manifests, name):
    known = {"auth": of_service("AUTH_"), "audit": of_service("AUDIT_"), "gateway": of_gateway()}
    for pod_name, pod in pods(manifests[name]):
        component = pod_name.removesuffix("-migrate").rpartition("-")[2]
        assert set(variables(pod)) <= known[component]
        (container,) = pod["containers"]
        owner = f"{component.upper()}_MIGRATION_DATABASE_URL"
        if pod_name.endswith("-migrate"):
            assert owner in variables(pod)
            continue
        assert owner not in variables(pod), "a service could act as the owner"
        probes = [container[f"{which}Probe"] for which in ("startup", "liveness", "readiness")]
        if component != "gateway":
            asked = [probe["grpc"].get("service") for probe in probes]
            assert asked == [None, "liveness", "readiness"]
        assert probes[1]["failureThreshold"] * probes[1]["periodSeconds"] == 30
        assert probes[2]["failureThreshold"] * probes[2]["periodSeconds"] == 10
        (port, *_) = container["ports"]
        image = dict(steps(component)[-1])
        assert port["containerPort"] == PORTS[component] == int(image["EXPOSE"])
        # The grace of a service, and what comes before it.
        stopping = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] > stopping + 20


@pytest.mark.parametrize("name", VALUES)
def test_selectors_choose_the_pods_of_one_component(manifests, name):
    labels = {
        pod: manifest["spec"]["template"]["metadata"]["labels"]
        for (kind, pod), manifest in manifests[name].items()
        if kind == "Deployment"
    }
    for (kind, owner), manifest in manifests[name].items():
        if kind in ("Deployment", "PodDisruptionBudget"):
            selector = manifest["spec"]["selector"]["matchLabels"].items()
        elif kind == "Service":
            selector = manifest["spec"]["selector"].items()
        else:
            continue
        assert [pod for pod, found in labels.items() if selector <= found.items()] == [
            owner.removesuffix("-metrics")
        ]


def test_addresses_are_those_of_services(manifests):
    found = manifests["fewest"]
    hosts = {
        f"{name}:{port['port']}"
        for (kind, name), manifest in found.items()
        if kind == "Service"
        for port in manifest["spec"]["ports"]
    }
    for _, pod in pods(found):
        for name, value in variables(pod).items():
            if name.endswith(("_ADDRESS", "_ENDPOINTS")):
                assert value in hosts, name
    for component in ("auth", "audit"):
        assert found["Service", f"prod-smart-audit-{component}"]["spec"]["clusterIP"] == "None"


def test_the_gateway_counts_the_proxies_that_it_is_told_of(manifests):
    found = {
        name: variables(dict(pods(manifests[name]))["prod-smart-audit-gateway"]) for name in VALUES
    }
    hops = {name: one.get("GATEWAY_TRUSTED_HOPS") for name, one in found.items()}
    assert hops == {"fewest": None, "production": "1", "everything": "0"}


@pytest.mark.parametrize("name", VALUES)
def test_metrics_of_all_are_inside_and_for_those_who_are_named(manifests, name):
    """By a port of the pod and a service without an address, never by the one that clients use."""
    port = {"fewest": 9090, "production": 9090, "everything": 9100}[name]
    for component in PORTS:
        service = f"prod-smart-audit-{component}"
        (container,) = dict(pods(manifests[name]))[service]["containers"]
        assert {"name": "metrics", "containerPort": port} in container["ports"]
        pod = {one["name"]: one.get("value") for one in container["env"]}
        assert pod[f"{component.upper()}_METRICS_PORT"] == str(port)
        inside = f"{service}-metrics" if component == "gateway" else service
        offered = manifests[name]["Service", inside]["spec"]
        assert offered["clusterIP"] == "None"
        assert {"name": "metrics", "port": port, "targetPort": "metrics"} in offered["ports"]
        rules = manifests[name]["NetworkPolicy", service]["spec"]["ingress"]
        let_in = [rule["from"] for rule in rules if rule["ports"][0]["port"] == port]
        assert len(let_in) == (name != "fewest")
    (outside,) = manifests[name]["Service", "prod-smart-audit-gateway"]["spec"]["ports"]
    assert outside["name"] == "http"


def test_prometheus_is_told_where_each_shows_its_metrics(manifests):
    monitors = {
        component: (endpoint["port"], endpoint["path"])
        for (kind, _), manifest in manifests["production"].items()
        if kind == "ServiceMonitor"
        for (choice,) in [manifest["spec"]["selector"]["matchExpressions"]]
        for component in choice["values"]
        for (endpoint,) in [manifest["spec"]["endpoints"]]
    }
    assert monitors == {
        "auth": ("metrics", "/metrics"),
        "audit": ("metrics", "/metrics"),
        "gateway": ("metrics", METRICS_PATH),
    }


@pytest.mark.parametrize("component", PORTS)
def test_each_may_call_what_else_it_is_allowed(manifests, component):
    policy = manifests["everything"]["NetworkPolicy", f"prod-smart-audit-{component}"]["spec"]
    ports = {"auth": 443, "audit": 443, "gateway": 4317}
    assert {"ports": [{"protocol": "TCP", "port": ports[component]}]} in policy["egress"]


def test_migrations_run_first_and_one_after_the_other(manifests):
    hooks = {
        name: manifest["metadata"]["annotations"]
        for (kind, name), manifest in manifests["fewest"].items()
        if "annotations" in manifest["metadata"]
    }
    assert {one["helm.sh/hook"] for one in hooks.values()} == {"pre-install,pre-upgrade"}
    order = sorted(hooks, key=lambda name: int(hooks[name]["helm.sh/hook-weight"]))
    assert [name.removeprefix("prod-smart-audit-") for name in order] == [
        "migrations",
        "auth-migrate",
        "audit-migrate",
    ]


@pytest.mark.parametrize("name", ["fewest", "production"])
def test_who_may_speak_to_whom(manifests, name):
    """Ingress by component and port; the deny rule chooses every pod."""
    policies = {
        key[1].removeprefix("prod-smart-audit-"): manifest["spec"]
        for key, manifest in manifests[name].items()
        if key[0] == "NetworkPolicy"
    }
    deny = policies["nothing-else"]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in deny
    assert "app.kubernetes.io/component" not in deny["podSelector"]["matchLabels"]
    inside = {
        (component, rule["ports"][0]["port"], peer["podSelector"]["matchLabels"][label])
        for component, policy in policies.items()
        for rule in policy.get("ingress", [])
        for peer in rule.get("from", [])
        if "podSelector" in peer
        for label in ["app.kubernetes.io/component"]
    }
    assert inside == {
        ("auth", 50051, "gateway"),
        ("auth", 50051, "audit"),
        ("audit", 50052, "gateway"),
        ("audit", 50052, "auth"),
    }
    to_database = {
        component
        for component, policy in policies.items()
        for rule in policy.get("egress", [])
        if rule["ports"][0]["port"] == 5432
    }
    assert to_database == {"auth", "audit", "migrations"}
