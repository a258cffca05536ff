"""Alerts and dashboard ask for metrics and labels that are there, and each alert has a remedy."""

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
# What Prometheus adds by itself, or by the file that names the processes.
OF_TARGETS = {"job", "service", "process", "le"}
SELECTOR = re.compile(r"\{([^}]*)\}")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
GROUPED = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
WORDS = {"and", "or", "unless", "offset", "bool", "by", "without", "on", "ignoring"}


def rules():
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return group["rules"]


def panels():
    """The panels of all dashboards that show something: (title, expressions)."""
    return [
        (panel["title"], [one["expr"] for one in panel["targets"]])
        for path in DASHBOARDS.glob("*.json")
        for panel in json.loads(path.read_text())["panels"]
        if panel["type"] != "row"
    ]


def asked(expression):
    """The metrics of an expression, each with the labels that it is selected by; and the labels
    that results are grouped by."""
    # Texts first: they may hold anything.
    bare = re.sub(r'"[^"]*"', '""', expression)
    grouped = {label.strip() for group in GROUPED.findall(bare) for label in group.split(",")}
    bare = re.sub(r"\[[^\]]*\]", "", GROUPED.sub(" ", bare))
    words = re.findall(r"(?<![\w.])([a-zA-Z_:][\w:]*)(\s*\()?", SELECTOR.sub("", bare))
    found = [word for word, called in words if not called and word not in WORDS]
    selected = {}
    for name, inside in re.findall(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}", bare):
        selected.setdefault(name, set()).update(MATCHER.findall(inside))
    return {name: selected.get(name, set()) for name in found}, grouped


def names(text):
    """What is exposed, to the letter (the client's own parser renames counters): name, labels."""
    suffixes = {"histogram": ["_bucket", "_sum", "_count"]}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            yield from ((f"{name}{suffix}", set()) for suffix in suffixes.get(kind, [""]))
        elif line and not line.startswith("#"):
            ((name, labels),) = re.findall(r"^([\w:]+)(?:\{(.*)\})? ", line)
            yield name, set(re.findall(r'(\w+)="', labels))


def test_expressions_are_taken_apart():
    expression = 'time() - max by (witness) (a_b{code=~"x|y{", end!="z"}[5m]) > 2e3 and c offset 5m'
    assert asked(expression) == ({"a_b": {"code", "end"}, "c": set()}, {"witness"})


async def test_everything_that_is_asked_for_is_exposed(observed):
    exposed = {"up": {"job"}}
    for service in ("auth", "audit", "gateway"):
        for name, labels in names(await observed.text(service)):
            exposed.setdefault(name, set()).update(labels)
    expressions = [rule["expr"] for rule in rules()]
    expressions += [expression for _, some in panels() for expression in some]
    assert len(expressions) > 50
    for expression in expressions:
        metrics, grouped = asked(expression)
        assert metrics, expression
        assert metrics.keys() <= exposed.keys(), expression
        known = OF_TARGETS.union(*(exposed[name] for name in metrics))
        # A metric without a sample yet does not show its labels: docs/metrics.md has them.
        shown = all(exposed[name] for name in metrics)
        assert not shown or grouped.union(*metrics.values()) <= known, expression


def test_each_alert_has_a_remedy_and_each_remedy_an_alert():
    page = (ROOT / "docs" / "alerts.md").read_text()
    headings = re.findall(r"^## (\w+)$", page, re.MULTILINE)
    assert headings == [rule["alert"] for rule in rules()]
    for rule in rules():
        assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]


def test_the_events_of_the_log_that_remedies_name_are_there():
    page = (ROOT / "docs" / "alerts.md").read_text()
    sources = "".join(
        path.read_text()
        for folder in ("services", "shared/core")
        for path in (ROOT / folder).rglob("*.py")
    )
    events = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", page)) - {"auth.outbox"}
    assert len(events) > 8
    for event in events:
        assert f'"{event}"' in sources, event


def test_the_configuration_of_prometheus_finds_its_files():
    path = ROOT / "deploy" / "prometheus" / "prometheus.yaml"
    config = yaml.safe_load(path.read_text())
    assert [(path.parent / name).resolve() for name in config["rule_files"]] == [ALERTS]
    (job,) = config["scrape_configs"]
    (file,) = job["file_sd_configs"][0]["files"]
    assert (path.parent / file).resolve() == ROOT / ".smart-audit" / "run" / "metrics.json"


def test_the_dashboard_has_a_panel_for_each_part():
    titles = " ".join(title for title, _ in panels())
    for part in ("Outbox", "Hash pool", "Search", "Witnesses", "Entries of all logs", "Workers"):
        assert part in titles
