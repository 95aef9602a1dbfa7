"""`causeline eval`: what its commands print, write and end with, without a broker or a store."""

import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from causeline.cli.app import app
from causeline.eval.case import as_yaml
from causeline.producers.artifacts import ArtifactStore
from causeline.schemas.policy_file import parse_policy
from tests.unit.cli.test_commands import stack_in
from tests.unit.eval.test_case import case


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two cases: `steady` holds on either route, `routed` only on the right one."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("CAUSELINE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("CAUSELINE_ARTIFACTS", raising=False)
    cases = tmp_path / "cases"
    cases.mkdir()
    (cases / "steady.yaml").write_text(as_yaml(case(id="steady", expect={"fallback": "none"})), "utf-8")
    (cases / "routed.yaml").write_text(as_yaml(case(id="routed", expect={"route": "motor"})), "utf-8")
    return cases


def eval_command(*words: object) -> Result:
    return CliRunner().invoke(app, ["eval", *map(str, words)])


def target(name: str) -> tuple[str, str]:
    return "--target", f"tests.unit.eval.targets:{name}"


def test_cases_of_another_policy_are_told_beside_the_answer(folder: Path) -> None:
    ours = eval_command("gate", folder, *target("good"))
    assert "another policy" not in ours.stderr
    (folder / "routed.yaml").write_text(
        as_yaml(case(id="routed", expect={"route": "motor"}, policy_hash="0123456789abcdef")), "utf-8"
    )
    told = eval_command("gate", folder, *target("good"))
    assert "1 of 2 cases come from runs that another policy judged" in told.stderr
    assert told.exit_code == ours.exit_code


def test_the_policy_of_the_stack_that_is_up_judges(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    state = stack_in(tmp_path / "state")
    policy = parse_policy("version = 1\n[defaults]\nparse_quality_floor = 0.9\n", "policy.toml")
    (state / "policy.toml").write_text("version = 1\n[defaults]\nparse_quality_floor = 0.9\n", "utf-8")
    (folder / "routed.yaml").write_text(
        as_yaml(case(id="routed", expect={"route": "motor"}, policy_hash=policy.content_hash)), "utf-8"
    )
    assert "another policy" not in eval_command("gate", folder, *target("good")).stderr
    assert "another policy" in eval_command("gate", folder, *target("good"), "--state-dir", tmp_path).stderr


def test_a_regression_ends_with_1_and_is_written_for_people_ci_and_the_next_gate(folder: Path, tmp_path: Path) -> None:
    junit, markdown, before = tmp_path / "junit.xml", tmp_path / "gate.md", tmp_path / "before.json"
    red = eval_command(
        "gate", folder, *target("wrong_route"), "--junit", junit, "--markdown", markdown, "--json", "--jobs", 2
    )
    assert red.exit_code == 1
    said = json.loads(red.stdout)
    assert {each["case_id"]: (each["status"], each["boundary"]) for each in said["results"]} == {
        "routed": ("failed", "route"),
        "steady": ("passed", None),
    }
    (suite,) = ElementTree.parse(junit).getroot()  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert "| routed | failed | route |" in markdown.read_text("utf-8")

    before.write_text(red.stdout, "utf-8")
    known = eval_command("gate", folder / "routed.yaml", *target("wrong_route"), "--baseline", before)
    assert (known.exit_code, "failed (known)" in known.stdout) == (0, True)
    everything = eval_command(
        "gate", folder / "routed.yaml", *target("wrong_route"), "--baseline", before, "--fail-on-known"
    )
    assert everything.exit_code == 1


def test_what_could_not_be_answered_ends_with_2_and_the_others_are_answered(folder: Path) -> None:
    (folder / "zzz.yaml").write_text("version: 1\nsurprise: 2\n", "utf-8")
    said = eval_command("gate", folder, *target("good"), "--json")
    assert said.exit_code == 2
    assert [each["status"] for each in json.loads(said.stdout)["results"]] == ["passed", "passed", "error"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "Who answers the cases?"),
        (("--target", "app"), "is not module:function"),
        (("--command", "x 'y"), "cannot be taken apart"),
        (("--target", "a:b", "--baseline", "none.json"), "none.json cannot be read"),
    ],
)
def test_a_gate_that_cannot_begin_says_why_and_ends_with_2(folder: Path, words: tuple[str, ...], says: str) -> None:
    said = eval_command("gate", folder, *words)
    assert said.exit_code == 2
    assert says in said.stderr


def test_cases_are_listed_and_shown_with_what_is_wrong_beside_them(folder: Path) -> None:
    (folder / "zzz.yaml").write_text("- 1\n", "utf-8")
    listed = eval_command("list", folder, "--json")
    assert listed.exit_code == 2
    assert [json.loads(line).get("id") for line in listed.stdout.splitlines()] == ["routed", "steady", None]
    assert "zzz.yaml" in listed.stderr
    shown = eval_command("show", "rou", "--in", folder)
    assert (shown.exit_code, shown.stdout) == (0, (folder / "routed.yaml").read_text("utf-8"))
    assert eval_command("show", "none", "--in", folder).exit_code != 0


def test_a_case_is_stale_where_the_named_store_has_no_longer_its_input(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUSELINE_ARTIFACTS", str(tmp_path / "store"))
    kept = ArtifactStore.open(str(tmp_path / "store")).put(b"the document")
    for name, ref in (("steady", kept), ("routed", "crm:of-another-store")):
        (folder / f"{name}.yaml").write_text(as_yaml(case(id=name, input_ref=ref)), "utf-8")
    assert eval_command("stale", folder).exit_code == 0
    (folder / "gone.yaml").write_text(as_yaml(case(id="gone")), "utf-8")
    found = eval_command("stale", folder)
    assert (found.exit_code, found.stdout) == (
        1,
        "gone: Its input is not in the store that CAUSELINE_ARTIFACTS names.\n",
    )
    gated = eval_command("gate", folder / "gone.yaml", *target("good"))
    assert (gated.exit_code, "stale" in gated.stdout) == (2, True)


def test_export_asks_of_which_runs() -> None:
    said = eval_command("export")
    assert (said.exit_code, "Cases of which runs?" in said.stderr) == (2, True)
