"""What the dashboards and alerts in `deploy` ask: PromQL's metrics, and SQL as Grafana would send it."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[1] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
RULES = DEPLOY / "prometheus" / "causeline.rules.yml"
RULE_TESTS = DEPLOY / "prometheus" / "causeline.rules.test.yml"

_HEALTH = re.compile(r"health and metrics on (http://\S+)")
_METRIC = re.compile(r"\bcauseline_[a-z_]+")
_MACROS = (
    (re.compile(r"\$__timeFilter\((\w+)\)"), r"\1 >= toDateTime({from}) AND \1 <= toDateTime({to})"),
    (re.compile(r"\$__timeInterval\((\w+)\)"), r"toStartOfInterval(toDateTime(\1), INTERVAL 60 second)"),
)


def dashboard(file: Path) -> dict[str, Any]:
    """A dashboard as it stands in its file."""
    document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return document


def targets(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each panel asks, by the panel's title."""
    for panel in dashboard(file)["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target


def panel_expressions() -> Iterator[str]:
    """Every PromQL expression of the panels."""
    for file in DASHBOARDS:
        yield from (target["expr"] for _, target in targets(file) if "expr" in target)


def expressions() -> Iterator[str]:
    """Every PromQL expression of panels and alerts."""
    yield from panel_expressions()
    yield from (str(rule["expr"]) for rule in alerts())


def metrics() -> set[str]:
    """Every metric of ours that they name."""
    return {name for each in expressions() for name in _METRIC.findall(each)}


def alerts() -> list[dict[str, Any]]:
    """The alerts."""
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def statements(file: Path, *, since_s: int, until_s: int, workflows: str) -> Iterator[tuple[str, str]]:
    """Each panel's SQL by its title, with Grafana's macros and variables filled in; `workflows` are SQL literals."""
    for title, target in targets(file):
        if "rawSql" in target:
            text = str(target["rawSql"])
            for macro, meaning in _MACROS:
                text = macro.sub(meaning, text)
            text = text.replace("{from}", str(since_s)).replace("{to}", str(until_s))
            yield title, text.replace("${workflow:sqlstring}", workflows)
    for variable in dashboard(file)["templating"]["list"]:
        yield variable["name"], variable["query"]


def health_pages(logs: Iterable[Path]) -> dict[str, str]:
    """Where each service tells its metrics, by the name of its log, which says it each time that it starts."""
    said = {log.stem: _HEALTH.findall(log.read_text("utf-8")) for log in sorted(logs)}
    return {name: addresses[-1] for name, addresses in said.items() if addresses}
