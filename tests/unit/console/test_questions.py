"""The questions that come with the console say what they ask and what they need."""

import pytest

from causeline.console.questions import Question, parse, question, questions
from causeline.console.read_only_sql import one_statement
from causeline.schemas.errors import NotFound, UsageError

NOW_US = 1_780_000_000_000_000
SIX = {"source", "route", "shape", "support", "review", "drift"}


def test_the_six_questions_and_what_people_ask_besides_are_there() -> None:
    assert set(questions()) >= SIX | {"versions", "gap-rates", "cost-of-failures", "queue-ages", "missing-anchors"}


@pytest.mark.parametrize("asked", questions().values(), ids=lambda asked: asked.name)
def test_each_says_in_a_line_what_it_asks_and_is_one_statement_that_reads(asked: Question) -> None:
    assert asked.asks.endswith(".")
    assert "?" in asked.asks
    assert one_statement(asked.sql) == asked.sql
    assert all(parameter.help.endswith(".") for parameter in asked.parameters)


def test_values_are_the_defaults_and_moments_are_moments() -> None:
    values = question("@gap-rates").values({"workflow": "invoice", "since": "1h"}, now_us=NOW_US)
    assert values == {"workflow": "invoice", "since": "2026-05-28 19:26:40.000000", "min_runs": "20"}


def test_an_unknown_question_is_told_with_the_nearest() -> None:
    with pytest.raises(NotFound, match="no question @gap-rate") as told:
        question("@gap-rate")
    assert "@gap-rates" in (told.value.hint or "")


def test_an_unknown_or_lacking_parameter_is_told() -> None:
    with pytest.raises(UsageError, match="@route has no parameter flor"):
        question("route").values({"flor": "0.5"}, now_us=NOW_US)
    with pytest.raises(UsageError, match="@versions needs the parameter workflow"):
        question("versions").values({}, now_us=NOW_US)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "-- Asks?\nSELECT {a:String}",
        "-- Asks?\n-- :a = | Not used.\nSELECT 1",
        "-- Asks?\n-- :a | No default.\nSELECT {a:String}",
    ],
)
def test_a_head_that_does_not_fit_its_sql_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"the head of q\.sql"):
        parse("q", text)
