"""The gate: what a target does is its own business, and what it leaves on record is checked."""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psutil
import pytest

from causeline.eval import report
from causeline.eval.assembling import assembled
from causeline.eval.attempt import Target
from causeline.eval.case import EvalCase
from causeline.eval.checks import CAUSE, Check
from causeline.eval.folder import CaseFile
from causeline.eval.gate import Gate, Result, Status, against, exit_code, flake_rate, read_baseline
from causeline.eval.output_schema import read_schema, wrong_places
from causeline.schemas.errors import Unreachable, UsageError
from tests.unit.eval.test_case import case


def ref(text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"artifact:sha256/{digest[:2]}/{digest[2:]}"


def gate(target: str, *cases: EvalCase, folder: Path = Path(), **options: Any) -> list[Result]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **options.pop("environment", {})}
    files = [CaseFile(folder / f"{each.id}.yaml", each) for each in cases]
    made = Gate(
        target=Target(function=f"tests.unit.eval.targets:{target}"),
        assemble=assembled,
        environment=environment,
        **options,
    )
    return made.run(files)


def test_a_case_is_passed_when_all_that_it_asks_holds() -> None:
    asked = case(
        expect={
            "route": "motor",
            "supported": ["$.total"],
            "corrected": {"$.total": ref("300")},
            "fallback": "none",
            "final_state": "answered",
        }
    )
    (result,) = gate("good", asked)
    assert (result.status, result.says) == (Status.PASSED, "")
    assert {check.name for check in result.checks} == {
        "route", "value of $.total", "evidence for $.total", "fallback", "final state", "cause",
    }  # fmt: skip


def test_a_gate_sees_every_trace_and_leaves_a_spool_alone(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    around = {
        "CAUSELINE_DISABLED": "1",
        "CAUSELINE_EMITTER_SAMPLE": "0",
        "CAUSELINE_EMITTER_SPOOL": str(spool),
        "CAUSELINE_RELEASE": "r7",
    }
    (result,) = gate("good", case(), environment=around)
    assert (result.status, result.says) == (Status.PASSED, "")
    (run,) = assembled(result.batches)
    assert run.labels == {"release": "r7", "eval.case": case().id}
    assert not spool.exists()


def test_what_does_not_hold_is_told_with_its_boundary() -> None:
    asked = case(expect={"route": "motor", "corrected": {"$.total": ref("301")}, "supported": []})
    (result,) = gate("wrong_route", asked)
    assert (result.status, result.boundary) == (Status.FAILED, "route")
    assert "route home, and motor is right" in result.says
    assert "$.total is not what the reviewer gave" in result.says


def test_an_open_gap_a_fallback_and_another_end_fail() -> None:
    asked = case(expect={"supported": ["$.total", "$.tax"], "fallback": "none", "final_state": "answered"})
    (result,) = gate("unsupported", asked)
    failed = {check.name for check in result.failed_checks}
    assert failed >= {"evidence for $.total", "evidence for $.tax", "fallback", "final state"}


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("raises", "RuntimeError: no such model"),
        ("exits", "ended with 7"),
        ("wrong_type", "returned a object, which is no JSON"),
        ("no_trace", "traced no run of workflow w"),
        ("two_traces", "traced 2 runs of workflow w"),
        ("not_there", "has no function not_there"),
    ],
)
def test_what_is_no_answer_is_an_error_of_that_case(target: str, says: str) -> None:
    (result,) = gate(target, case())
    assert result.status is Status.ERROR
    assert says in (result.problem or "")


def test_what_went_wrong_within_a_run_is_an_error_that_the_run_can_be_told_of() -> None:
    (result,) = gate("raises_in_its_run", case())
    assert (result.status, result.says) == (Status.ERROR, "The target ended with 3: RuntimeError: no such model")
    (run,) = assembled(result.batches)
    assert (result.run_id, run.final_state) == (run.run_id, "failed")


@pytest.mark.slow
def test_a_target_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    child = tmp_path / "pid"
    (result,) = gate("hangs_with_a_child", case(), timeout_s=6.0, environment={"CHILD_FILE": str(child)})
    assert (result.status, result.problem) == (Status.ERROR, "The target has not answered within 6 s.")
    pid = int(child.read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_cases_that_cannot_be_answered_stop_no_other(tmp_path: Path) -> None:
    bad = CaseFile(tmp_path / "bad.yaml", None, "bad.yaml is no YAML.")
    gone = case(id="gone", expect={"output_schema": {"file": "none.json", "sha256": "0" * 64}})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    made = Gate(Target("tests.unit.eval.targets:good"), assembled, environment=environment)
    results = made.run([bad, CaseFile(tmp_path / "gone.yaml", gone), CaseFile(tmp_path / "ok.yaml", case())])
    assert [result.status for result in results] == [Status.ERROR, Status.STALE, Status.PASSED]
    assert exit_code(results, fail_on_known=True) == 2


def test_the_answer_must_keep_its_schema_and_a_changed_schema_is_stale(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"type": "object", "properties": {"total": {"type": "number"}}}))
    digest = hashlib.sha256(schema.read_bytes()).hexdigest()
    asked = case(expect={"output_schema": {"file": "schema.json", "sha256": digest}})
    (result,) = gate("good", asked, folder=tmp_path)
    assert (result.status, result.boundary) == (Status.FAILED, "validate")
    assert "wrong at $.total" in result.says
    schema.write_text("{}")
    (stale,) = gate("good", asked, folder=tmp_path)
    assert (stale.status, stale.problem) == (Status.STALE, "Its schema schema.json has changed.")


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": 5}, "is no JSON Schema: $.type is wrong"),
        ([1], "is no JSON Schema: $ is wrong"),
        ({"$ref": "http://127.0.0.1:9/other.json"}, "refers to http://127.0.0.1:9/other.json, which it does not have"),
        ({"$ref": "#/$defs/none"}, "which it does not have"),
        ({"$ref": "#"}, "refers to itself without an end"),
    ],
)
def test_a_schema_that_nothing_can_be_held_to_is_an_error_of_its_case(
    tmp_path: Path, schema: object, says: str
) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(schema))
    asked = case(expect={"output_schema": {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}})
    with pytest.raises(UsageError) as told:
        wrong_places({"total": "300"}, read_schema(asked, tmp_path) or {})
    assert says in told.value.message


def test_what_cannot_be_asked_of_the_schema_or_the_store_is_an_error_and_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text("{")
    asked = case(
        id="bad", expect={"output_schema": {"file": "schema.json", "sha256": hashlib.sha256(b"{").hexdigest()}}
    )

    def away(ref: str) -> bool:
        if ref == "store:away":
            raise Unreachable("The store does not answer.")
        return True

    results = gate("good", asked, case(id="away", input_ref="store:away"), case(), folder=tmp_path, resolve=away)
    assert [result.status for result in results] == [Status.ERROR, Status.ERROR, Status.PASSED]
    assert [result.problem for result in results[:2]] == [
        "Its schema schema.json is no JSON.",
        "The store does not answer.",
    ]


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({}, "Who answers"),
        ({"function": "a:b", "command": "c"}, "Who answers"),
        ({"function": "app.evals"}, "is not module:function"),
        ({"command": "python 'app"}, "cannot be taken apart"),
        ({"command": "  "}, "is empty"),
    ],
)
def test_what_is_no_target_is_refused_before_any_case(said: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Target(**said)


@pytest.mark.parametrize("printed", ["nonsense", "[" * 100_000, "\xff"])
def test_an_answer_that_is_no_json_is_told(tmp_path: Path, printed: str) -> None:
    (tmp_path / "said").write_text(printed, "latin-1")
    made = Gate(Target(command=f"cat {tmp_path / 'said'}"), assembled)
    (result,) = made.run([CaseFile(Path("x.yaml"), case())])
    assert (result.status, result.problem) == (Status.ERROR, "The target's answer is no JSON.")


def test_an_input_that_can_no_longer_be_read_is_stale_and_never_passed() -> None:
    (result,) = gate("good", case(), resolve=lambda _ref: False)
    assert (result.status, result.problem) == (
        Status.STALE,
        "Its input is not in the store that CAUSELINE_ARTIFACTS names.",
    )


def test_a_flaky_target_passes_on_a_later_try_and_the_rate_is_told(tmp_path: Path) -> None:
    environment = {"FLAKY_FILE": str(tmp_path / "seen")}
    (result,) = gate("flaky", case(), retries=2, environment=environment)
    assert (result.status, result.attempts, result.flaky) == (Status.PASSED, 2, True)
    assert flake_rate([result]) == 1.0
    assert "1 flaky (100%)" in report.summary([result])


def test_a_command_gets_the_case_on_stdin_and_prints_its_answer() -> None:
    code = (
        "import json, sys; from causeline import Tracer; case = json.load(sys.stdin); t = Tracer();\n"
        "with t.run(case['workflow']) as run: run.evidence('$.total', refs=['a:r'], score=0.9)\n"
        "t.close(); print(json.dumps({'total': '300'}))"
    )
    made = Gate(Target(command=f"{sys.executable} -c {json.dumps(code)!s}".replace("\\n", "\n")), assembled)
    (result,) = made.run([CaseFile(Path("x.yaml"), case(expect={"corrected": {"$.total": ref("300")}}))])
    assert (result.status, result.says) == (Status.PASSED, "")


# --- what is made of results


def some() -> list[Result]:
    return [
        Result("a", "w", Status.PASSED),
        Result("b", "w", Status.FAILED, problem="route | home\nis wrong \x07"),
        Result("c", "v", Status.STALE, problem="Its input is not in the store that CAUSELINE_ARTIFACTS names."),
    ]


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([Status.PASSED], 0),
        ([Status.PASSED, Status.FAILED], 1),
        ([Status.PASSED, Status.STALE], 2),
        ([Status.ERROR, Status.FAILED], 1),
        ([], 2),
    ],
)
def test_the_exit_code_says_passed_regressed_or_could_not_run(statuses: list[Status], code: int) -> None:
    results = [Result(str(number), "w", status) for number, status in enumerate(statuses)]
    assert exit_code(results, fail_on_known=True) == code


def test_what_failed_in_the_baseline_is_known_and_fails_only_when_asked(tmp_path: Path) -> None:
    file = tmp_path / "before.json"
    file.write_text(json.dumps(report.as_json(some(), fail_on_known=True)))
    results = against(some(), read_baseline(file))
    assert [result.known for result in results] == [False, True, True]
    assert exit_code(results, fail_on_known=False) == 0
    assert exit_code(results, fail_on_known=True) == 1
    worse = against([Result("a", "w", Status.FAILED)], read_baseline(file))
    assert exit_code(worse, fail_on_known=False) == 1
    file.write_text("{}")
    with pytest.raises(UsageError, match="is no result of a gate"):
        read_baseline(file)


def test_the_cause_is_told_first_and_the_summary_counts_where() -> None:
    held = (Check("route", False, "route b", "route"), Check(CAUSE, False, "mask is back: gone", "mask"))
    results = [Result(name, "w", Status.FAILED, checks=held) for name in "ab"]
    results.append(Result("c", "w", Status.FAILED, checks=held[:1]))
    assert results[0].says == "mask is back: gone; route b"
    assert report.summary(results) == "3 cases: 3 failed (mask 2, route 1)"


def test_junit_markdown_and_json_say_the_same() -> None:
    root = ElementTree.fromstring(report.as_junit(some()))  # noqa: S314 - our own
    suites = {suite.get("name"): suite for suite in root}
    assert (suites["w"].get("tests"), suites["w"].get("failures"), suites["v"].get("errors")) == ("2", "1", "1")
    markdown = report.as_markdown(some())
    assert "3 cases: 1 passed, 1 failed (nowhere named 1), 1 stale" in markdown
    assert r"route \| home is wrong" in markdown
    said = report.as_json(some(), fail_on_known=True)
    assert (said["passed"], said["exit_code"]) == (False, 1)
