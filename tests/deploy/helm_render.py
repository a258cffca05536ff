"""Lint the chart and render it for several values: JSON in (values by name), JSON out.

A process of its own: Helm is a library in Go, whose runtime no other test should live with.
"""

import json
import sys
from pathlib import Path

import helm_python

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "smart-audit"


def main() -> None:
    """Print {"lint": messages, "rendered": {name: {file: text} or an error}}."""
    rendered: dict[str, dict[str, str] | str] = {}
    with helm_python.Chart.load(str(CHART)) as chart:
        for name, values in json.load(sys.stdin).items():
            try:
                chart.validate_schema(chart.merge_values(values))
                rendered[name] = chart.render(values, name="prod", namespace="trail")
            except helm_python.HelmError as error:
                rendered[name] = str(error)
    messages = helm_python.lint(str(CHART), strict=True)["messages"]
    json.dump({"lint": messages, "rendered": rendered}, sys.stdout)


if __name__ == "__main__":
    main()
