"""Documentation that cannot drift: what the code names, the pages name."""

import re
from pathlib import Path

import pytest

from causeline.schemas import measures
from causeline.schemas.policy_file import parse_policy
from causeline.schemas.topics import TOPICS
from causeline.schemas.vocabulary import StepKind
from tests.contract import bounds_table, otel_tables, policy_table, settings_table

DOCS = Path(__file__).parents[2] / "docs"
MEASURES = sorted(value for name, value in vars(measures).items() if name.isupper())


@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_is_described(measure: str) -> None:
    assert f"`{measure}" in (DOCS / "trace-contract.md").read_text("utf-8")


@pytest.mark.parametrize("kind", sorted(set(StepKind) - {StepKind.CUSTOM, StepKind.OUTPUT}))
def test_every_boundary_is_described(kind: StepKind) -> None:
    assert kind.value in (DOCS / "trace-contract.md").read_text("utf-8")


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_topic_is_in_the_architecture(topic: object) -> None:
    assert f"`causeline.{getattr(topic, 'name', '')}`" in (DOCS / "architecture.md").read_text("utf-8")


def test_every_decision_has_its_three_parts() -> None:
    pages = sorted((DOCS / "adr").glob("[0-9]*.md"))
    assert pages
    for number, page in enumerate(pages, 1):
        assert page.name.startswith(f"{number:04d}-")
        text = page.read_text("utf-8")
        assert all(f"**{part}.**" in text for part in ("Context", "Decision", "Consequence")), page.name


def test_every_setting_stands_in_the_operations_page_as_the_code_has_it() -> None:
    assert settings_table.table() in (DOCS / "operations.md").read_text("utf-8"), (
        "python -m tests.contract.settings_table"
    )


def test_every_bound_stands_in_the_operations_page_as_the_code_has_it() -> None:
    assert bounds_table.table() in (DOCS / "operations.md").read_text("utf-8"), "python -m tests.contract.bounds_table"


def test_no_setting_that_bounds_something_is_left_out_of_the_bounds() -> None:
    listed = {(each.model, each.field) for each in bounds_table.BOUNDS if isinstance(each, bounds_table.Setting)}
    for model in {model for model, _ in listed}:
        for name in model.model_fields:
            bounds = name.startswith("max_") or name.endswith(("_limit_bytes", "_result_rows"))
            assert not bounds or (model, name) in listed, f"{model.__name__}.{name}"


def test_every_attribute_stands_in_the_opentelemetry_page_as_the_mapping_has_it() -> None:
    assert otel_tables.tables() in (DOCS / "opentelemetry.md").read_text("utf-8"), (
        "python -m tests.contract.otel_tables"
    )


def test_every_key_of_a_policy_stands_in_its_page_as_the_code_has_it() -> None:
    assert policy_table.tables() in (DOCS / "policy.md").read_text("utf-8"), "python -m tests.contract.policy_table"


def test_the_policy_that_the_page_shows_is_one() -> None:
    shown = re.search(r"```toml\n(.*?)```", (DOCS / "policy.md").read_text("utf-8"), re.DOTALL)
    assert shown is not None
    assert parse_policy(shown[1]).workflow["invoice"].routes == ("purchase", "subscription")
