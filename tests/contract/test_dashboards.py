"""Dashboards and alerts say where they ask, and every alert has a course that fires it and one that does not."""

import re
from pathlib import Path

import pytest
import yaml

from tests import deployed

DATASOURCES = deployed.DEPLOY / "grafana" / "provisioning" / "datasources" / "causeline.yaml"
PAGE = Path(__file__).parents[2] / "docs" / "dashboards.md"


@pytest.mark.parametrize("file", deployed.DASHBOARDS, ids=lambda file: str(file.stem))
def test_a_dashboard_asks_the_sources_that_are_provisioned(file: Path) -> None:
    known = {each["uid"]: each["type"] for each in yaml.safe_load(DATASOURCES.read_text("utf-8"))["datasources"]}
    document = deployed.dashboard(file)

    assert document["uid"] == f"causeline-{file.stem}"
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
    for panel in document["panels"]:
        assert known[panel["datasource"]["uid"]] == panel["datasource"]["type"], panel["title"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24, panel["title"]
    assert f"| `{file.stem}` |" in PAGE.read_text("utf-8")


@pytest.mark.parametrize("file", deployed.DASHBOARDS, ids=lambda file: str(file.stem))
def test_every_statement_is_bounded_in_time(file: Path) -> None:
    for title, text in deployed.statements(file, since_s=1, until_s=2, workflows="''"):
        assert "toDateTime(1)" in text or "INTERVAL 30 DAY" in text, title
        assert "$" not in text, title


@pytest.mark.parametrize("alert", deployed.alerts(), ids=lambda alert: str(alert["alert"]))
def test_an_alert_says_the_way_out_and_is_tried_both_ways(alert: dict[str, object]) -> None:
    name, labels, says = alert["alert"], alert["labels"], alert["annotations"]
    assert isinstance(labels, dict)
    assert isinstance(says, dict)
    assert labels["severity"] in {"page", "ticket"}
    assert says.keys() == {"summary", "action"}
    tried = [
        bool(expected["exp_alerts"])
        for test in yaml.safe_load(deployed.RULE_TESTS.read_text("utf-8"))["tests"]
        for expected in test["alert_rule_test"]
        if expected["alertname"] == name
    ]
    assert sorted(tried) == [False, True]
    assert re.search(rf"^\|.*`{name}`.*\| {labels['severity']} \|", PAGE.read_text("utf-8"), re.MULTILINE)
