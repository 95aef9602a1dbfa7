"""The Collector's files in deploy/: they hold together, keep no run in memory, and no key."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[3] / "deploy" / "otel-collector"
FILES = sorted(FOLDER.glob("*.yaml"))
VARIABLE = re.compile(r"\$\{env:([A-Z_]+)")
SECRET_HEADERS = {"dd-api-key", "x-honeycomb-team", "authorization"}


def _load(file: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(file.read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def test_there_is_a_file_for_each_backend() -> None:
    assert [file.stem for file in FILES] == ["datadog", "generic", "honeycomb", "opensearch"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_pipeline_uses_all_that_is_defined_and_nothing_else(file: Path) -> None:
    config = _load(file)
    pipeline = config["service"]["pipelines"]["traces"]
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == set(config[kind])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_run_is_acknowledged_before_the_backend_has_it(file: Path) -> None:
    config = _load(file)
    assert "batch" not in config["processors"]
    for exporter in config["exporters"].values():
        assert exporter["sending_queue"] == {"enabled": False}
        assert exporter["retry_on_failure"] == {"enabled": False}
        assert exporter["timeout"] == "8s"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_keys_come_from_the_environment(file: Path) -> None:
    for exporter in _load(file)["exporters"].values():
        for name, value in exporter.get("headers", {}).items():
            assert name not in SECRET_HEADERS or re.fullmatch(r"\$\{env:[A-Z_]+(:-)?\}", value)


def test_the_page_names_every_variable_and_file() -> None:
    page = (FOLDER / "README.md").read_text("utf-8")
    for file in FILES:
        assert f"deploy/otel-collector/{file.name}" in page
        for variable in VARIABLE.findall(file.read_text("utf-8")):
            assert variable in page
