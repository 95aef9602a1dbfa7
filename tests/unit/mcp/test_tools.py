"""What each tool answers, and that what it names next can be called as it stands."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from causeline.console.questions import questions
from causeline.console.read_only_sql import SqlResult
from causeline.mcp import answers
from causeline.mcp.bounds import MOST_BYTES
from causeline.mcp.server import answered
from causeline.mcp.tools import TOOLS
from causeline.schemas.errors import Unreachable
from tests.unit.console.samples import START, failed_run, step
from tests.unit.mcp.sites import CLEAN, FAILED, HOSTILE, NOW_US, FakeSite

STEPS = 600
LONG = replace(
    failed_run(3),
    steps=tuple(
        replace(step("tool", number), step_name=f"{HOSTILE} {number}", status="error" if number % 7 == 0 else "ok")
        for number in range(STEPS)
    ),
)


def say(tool: str, site: FakeSite | None = None, **given: object) -> dict[str, Any]:
    text, is_error = answered(tool, given, site or FakeSite(), lambda: NOW_US)
    assert not is_error, text
    assert len(text.encode()) <= MOST_BYTES
    assert text.isprintable()
    read: dict[str, Any] = json.loads(text)
    return read


def refused(tool: str, **given: object) -> str:
    text, is_error = answered(tool, given, FakeSite(), lambda: NOW_US)
    assert is_error, text
    assert "\n" not in text
    return text


def test_a_run_is_explained_by_cause_and_fix_first_and_the_next_calls_lead_on() -> None:
    read = say("explain_run", run=FAILED.run_id)

    assert list(read["data"])[:2] == ["summary", "fix"]
    assert read["data"]["causes"][0]["headline"] in read["data"]["summary"]
    assert read["data"]["nearest_run_that_went_well"]["run_id"] != FAILED.run_id
    assert {each["tool"] for each in read["next"]} >= {"compare_runs", "run_outline"}


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("explain_run", {"run": FAILED.run_id}),
        ("explain_run", {"run": LONG.run_id}),
        ("find_runs", {}),
        ("run_outline", {"run": FAILED.run_id}),
        ("run_outline", {"run": LONG.run_id, "every_step": True}),
        ("step", {"run": FAILED.run_id, "step_id": f"{5:016x}"}),
        ("compare_runs", {"left": CLEAN.run_id, "right": LONG.run_id}),
        ("drift", {}),
        ("drift", {"alert": "abab"}),
        ("causes", {}),
        ("ask", {}),
        ("ask", {"question": "gap-rates"}),
        ("sql", {"statement": "SELECT 1"}),
    ],
)
def test_every_answer_names_calls_that_can_be_made(tool: str, given: dict[str, object]) -> None:
    site = FakeSite((FAILED, CLEAN, LONG), rows=500)
    read = say(tool, site, **given)

    assert read["next"]
    for call in read["next"]:
        same_otherwise = given if call["tool"] == tool and "same call otherwise" in call["to"] else {}
        say(call["tool"], site, **same_otherwise, **call["arguments"])


def test_the_tools_are_those_of_the_page() -> None:
    assert list(TOOLS) == [
        "explain_run", "find_runs", "run_outline", "step", "compare_runs", "drift", "causes", "ask", "sql",
    ]  # fmt: skip


def test_causes_of_many_runs_are_told_with_how_sure_their_share_is_and_an_example_to_explain() -> None:
    read = say("causes", since="24h")

    [cause] = read["data"]["causes"]
    assert (cause["runs"], cause["share"], cause["against_the_window_before"]) == (12, 0.3, "new")
    assert cause["share_lies_within"] == [0.1807, 0.4543]
    assert read["data"]["runs_not_diagnosed_yet"] == 2
    assert read["next"][0] == {
        "tool": "explain_run", "arguments": {"run": FAILED.run_id}, "to": read["next"][0]["to"],
    }  # fmt: skip


def test_runs_are_found_by_what_is_asked_and_the_list_goes_on_after_the_last() -> None:
    site = FakeSite()
    read = say("find_runs", site, workflow="policy", since="2h", limit=5)

    [(sql, given)] = site.asked
    assert given["workflow"] == ["policy"]
    assert given["since"] == NOW_US - round(timedelta(hours=2).total_seconds() * 1e6)
    assert "DROP" not in sql
    assert len(read["data"]["runs"]) == 5
    following = read["next"][0]
    assert following["arguments"] == {
        "workflow": "policy", "since": "2h", "limit": 5, "after": read["data"]["runs"][-1]["run_id"],
    }  # fmt: skip

    say("find_runs", site, **following["arguments"])
    assert site.asked[-1][1]["after_id"] == following["arguments"]["after"]


def test_paging_an_outline_gives_every_step_once_in_order() -> None:
    site, given, names = FakeSite((LONG,)), {"run": LONG.run_id, "every_step": True}, []
    for _ in range(STEPS):
        read = say("run_outline", site, **given)
        names += [row["step_id"] for row in read["data"]["steps"] if row["name"].startswith("Ignore")]
        if not any(each.startswith("steps: ") for each in read["truncated"]):
            break
        assert read["next"][0]["tool"] == "run_outline"
        given = read["next"][0]["arguments"]

    assert names == [each.step_id for each in LONG.steps]


def test_a_long_run_is_told_by_the_steps_that_matter_unless_all_are_asked_for() -> None:
    ok = tuple(step("tool", number) for number in range(STEPS))
    run = replace(FAILED, steps=(*ok, step("tool", STEPS, status="error", error_type="Timeout")))
    read = say("run_outline", FakeSite((run,)), run=run.run_id)

    assert any("nothing is to be said of" in each for each in read["truncated"])
    assert read["data"]["steps_in_all"] > STEPS


def test_a_step_has_its_versions_and_leads_to_those_around_it() -> None:
    read = say("step", run=FAILED.run_id, step_id=f"{4:016x}")

    assert read["data"]["name"] == "model_call:model_call_3"
    assert "acme-large" in json.dumps(read["data"]["notes"])
    assert {call["tool"] for call in read["next"]} == {"step", "explain_run"}


def test_two_runs_are_compared_by_what_differs() -> None:
    read = say("compare_runs", left=CLEAN.run_id, right=FAILED.run_id)

    assert read["data"]["differ_in"] == len(read["data"]["differences"])
    assert {"part": "outcome", "what": "error_type", "left": None, "right": "SchemaError"} in read["data"][
        "differences"
    ]


def test_an_answer_without_rows_says_where_to_go_on() -> None:
    table = answers.table("ask", SqlResult(("runs",), (), more=False), 0)
    assert [(each.tool, each.arguments) for each in table.next] == [("ask", {})]
    assert answers.alerts((), (), {}).data["watched"] == (
        "No window of runs has been judged yet: drift takes hours of runs.",
    )


def test_drift_says_what_moved_and_how_well_is_watched_and_an_alert_names_runs_of_both_sides() -> None:
    read = say("drift")
    assert "manual" in read["data"]["alerts"][0]["headline"]
    assert read["data"]["watched"] == ["policy, 1h: 9 windows judged, the last from 2026-03-01 00:00 UTC with 50 runs."]

    one = say("drift", **read["next"][0]["arguments"])
    assert one["data"]["anchors"][0]["anchor"] == "prompt_version"
    assert one["data"]["examples_before"]
    assert one["data"]["examples_after"]


def test_questions_are_listed_and_asked_with_their_defaults() -> None:
    listed, start = [], 0
    while True:
        read = say("ask", start=start)
        listed += [each["question"] for each in read["data"]["questions"]]
        start = len(listed)
        if not read["truncated"]:
            break
    assert listed == list(questions())

    site = FakeSite()
    say("ask", site, question="gap-rates", parameters={"workflow": "policy"})
    assert site.asked[-1][1]["workflow"] == "policy"


def test_sql_gives_a_hundred_rows_at_most_and_the_rest_by_further_calls() -> None:
    numbers: list[int] = []
    while True:
        read = say("sql", FakeSite(rows=250), statement="SELECT * FROM steps ORDER BY 1", start=len(numbers))
        assert 0 < len(read["data"]["rows"]) <= 100
        numbers += [row[0] for row in read["data"]["rows"]]
        if not read["truncated"]:
            break
        assert read["next"][0]["arguments"] == {"start": len(numbers)}

    assert numbers == list(range(250))


def test_recorded_text_is_visible_and_stands_under_data_alone() -> None:
    text, _ = answered("sql", {"statement": "SELECT 1"}, FakeSite(), lambda: NOW_US)

    assert "\u202e" not in text
    assert "\x1b" not in text
    read = json.loads(text)
    assert "Ignore all" in json.dumps(read.pop("data"))
    assert "Ignore all" not in json.dumps(read)


@pytest.mark.parametrize(
    ("tool", "given", "said"),
    [
        ("explain_run", {"run": "0" * 32}, f"No run has the id {'0' * 32}. find_runs lists runs"),
        ("explain_run", {"run": "what's up"}, '"what\'s up" is no part of a run id. find_runs lists runs'),
        ("explain_run", {}, "explain_run cannot take run: Field required. find_runs lists runs"),
        ("find_runs", {"since": "yesterday"}, "'yesterday' is not a time. Say 15m"),
        ("find_runs", {"limit": 1000}, "find_runs cannot take limit: "),
        (
            "find_runs",
            {"order": "slowest", "after": "1"},
            "Only runs by their start go on after a run. Leave out order",
        ),
        ("step", {"run": FAILED.run_id, "step_id": "none"}, f"Run {FAILED.run_id} has no step none. run_outline lists"),
        ("drift", {"alert": "ff"}, "There is no drift alert 'ff'. drift without an alert lists"),
        ("ask", {"question": "gap-rate"}, "There is no question @gap-rate. ask without a question lists them"),
        ("ask", {"question": "gap-rates", "parameters": {"no": "1"}}, "@gap-rates has no parameter no. It has: "),
        ("sql", {"statement": "DROP TABLE runs"}, "Only reading is allowed, not DROP. Use SELECT"),
        ("sql", {"statement": "SELECT 1", "rows": 9}, "sql cannot take rows: "),
        ("erase", {}, "There is no tool erase. There are explain_run, find_runs"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_the_way_out(tool: str, given: dict[str, object], said: str) -> None:
    assert refused(tool, **given).startswith(said)


def test_a_store_that_is_away_is_told_with_the_way_out_and_a_fault_of_ours_ends_its_call_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Away(FakeSite):
        def ask(self, *_: object, **__: object) -> Any:
            raise Unreachable("ClickHouse does not answer.", hint="causeline up")

    class Broken(FakeSite):
        def ask(self, *_: object, **__: object) -> Any:
            raise KeyError("secret")

    assert answered("find_runs", {}, Away(), lambda: 0) == ("ClickHouse does not answer. causeline up", True)
    text, is_error = answered("find_runs", {}, Broken(), lambda: 0)
    assert is_error
    assert text.startswith("find_runs failed with KeyError")
    assert "secret" not in text
    assert "find_runs failed" in caplog.text


def test_a_run_without_a_start_is_explained_too() -> None:
    assert START is not None
    read = say("explain_run", FakeSite((replace(FAILED, started_at=None),)), run=FAILED.run_id)
    assert read["data"]["run_id"] == FAILED.run_id
