"""What the running services count, and that docs/metrics.md says what it is."""

import re
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(smart_audit_\w+)` \|([^|]*)\|([^|]*)\|([^|]*)\|", re.MULTILINE)


def families(text):
    """What is exposed of ours: the kind by name, counters with their suffix."""
    found = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith("smart_audit_"):
            suffix = "_total" if family.type == "counter" else ""
            found[f"{family.name}{suffix}"] = family
    return found


def of(row):
    """The services that a row of the page is about."""
    return {"both": {"auth", "audit"}}.get(row, {row})


async def test_the_page_lists_what_the_services_expose(observed):
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = [[cell.strip() for cell in row] for row in ROW.findall(page)]
    assert len(rows) == len({name for name, *_ in rows})
    for service in ("auth", "audit"):
        found = families(await observed.text(service))
        told = {name: (kind, labels) for name, kind, labels, who in rows if service in of(who)}
        assert {name: kind for name, (kind, _) in told.items()} == {
            name: family.type for name, family in found.items()
        }
        for name, family in found.items():
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            assert not labels or labels == set(re.findall(r"`(\w+)`", told[name][1])), name


async def test_each_number_comes_from_what_was_done(observed):
    audit = families(await observed.text("audit"))
    auth = families(await observed.text("auth"))

    def value(found, name, **labels):
        (sample,) = [
            one
            for family in found.values()
            for one in family.samples
            if one.name == name and labels.items() <= one.labels.items()
        ]
        return sample.value

    record = "/smart_audit.api.audit.v1.EventService/RecordEvents"
    signup = "/smart_audit.api.auth.v1.AuthService/Signup"
    assert value(audit, "smart_audit_rpc_handled_total", method=record, code="OK") >= 1
    assert value(audit, "smart_audit_rpc_duration_seconds_count", method=record) >= 1
    assert value(auth, "smart_audit_rpc_duration_seconds_sum", method=signup) > 0
    assert value(auth, "smart_audit_rpc_running", method=signup) == 0
    watching = "/smart_audit.api.auth.v1.RevocationService/WatchRevocations"
    assert value(auth, "smart_audit_rpc_running", method=watching, kind="stream") == 1
    assert value(auth, "smart_audit_revocation_watchers") == 1
    assert 0 <= value(audit, "smart_audit_revocations_silence_seconds") < 5
    assert value(auth, "smart_audit_outbox_sent_total") >= 2
    assert value(auth, "smart_audit_hash_duration_seconds_count") >= 2
    assert value(audit, "smart_audit_append_batch_events_sum") >= 7
    assert value(audit, "smart_audit_database_connections_max", pool="smart-audit-audit") == 10
    assert value(audit, "smart_audit_build", service="audit") == 1
    assert value(audit, "smart_audit_ready") == 1


async def test_the_gateway_shows_its_numbers_inside_and_nothing_else(observed):
    assert "envoy_http_downstream_rq_total" in await observed.text("gateway")
    base = observed.metrics["gateway"].removesuffix("/stats/prometheus")
    async with httpx.AsyncClient(base_url=base) as http:
        assert (await http.get("/ready")).status_code == 200
        for path in (
            "/",
            "/config_dump",
            "/stats",
            "/certs",
            "/stats/prometheus/../../config_dump",
            "/ready%2f..%2fconfig_dump",
            "/ready/",
        ):
            assert (await http.get(path)).status_code == 404, path
        for path in ("/quitquitquit", "/stats/prometheus", "/reset_counters"):
            assert (await http.post(path)).status_code == 404, path
    for path in ("/stats/prometheus", "/metrics"):
        assert "envoy_" not in (await observed.gateway.http.get(path)).text
