"""From a failing run to a red gate to a green one, by the commands that people type, and the chain as one query."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from causeline.cli.app import app
from causeline.console.store import open_store
from causeline.demo.plan import PlannedRun, plan
from causeline.demo.publish import publish_planned
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.tracer import Tracer
from causeline.schemas.policy_file import read_policy
from causeline.stack.endpoints import Endpoints
from causeline.stack.waiting import wait_until

pytestmark = pytest.mark.stack

RULE = """
[[workflow.policy.review]]
name = "no source"
question = "Does the document say it at all?"
when = { gap = "missing_citation" }
"""


@pytest.fixture
def asked_for_reviews(stack: Endpoints) -> Iterator[str]:
    """The stack's policy asks for a review of what has no source; gives its hash, and takes the rule back."""
    before = stack.policy.read_text("utf-8")
    at = before.index("[workflow.contract]")
    stack.policy.write_text(before[:at] + RULE + before[at:], "utf-8")
    try:
        yield read_policy(stack.policy).content_hash
    finally:
        stack.policy.write_text(before, "utf-8")


def failing_run() -> PlannedRun:
    """A run that masks amounts of money, and that nobody in the demo reviews."""
    one = next(
        each
        for each in plan(7, 3000)
        if [fault.name for fault in each.faults] == ["mask_money"] and each.case.workflow == "policy"
    )
    twist = one.behaviour.twist | {"review_skipped"}
    return replace(one, behaviour=replace(one.behaviour, twist=twist, audited=False, legacy=False, stumbles=False))


def test_the_loop_is_closed(
    stack: Endpoints, asked_for_reviews: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    artifacts = ArtifactStore.open(str(stack.artifacts))

    def run(*words: str, code: int = 0, release: str | None = None) -> Result:
        said = CliRunner().invoke(app, words, env={"CAUSELINE_RELEASE": release})
        assert said.exit_code == code, f"{words}: {said.output}\n{said.exception!r}"
        return said

    with open_store(stack.clickhouse()) as store:

        def rows(sql: str, **given: object) -> list[dict[str, object]]:
            return [dict(row) for row in store.ask(sql, given)]

        one = failing_run()
        with Tracer("demo", emitter=Emitter(kafka=stack.kafka()), policy=read_policy(stack.policy)) as tracer:

            def judged_by_the_new_rule() -> list[dict[str, object]] | None:
                with tracer.run("warm"):  # a policy is put on record where there is something to judge
                    pass
                tracer.flush(10)
                return rows("SELECT 1 FROM policies WHERE policy_hash = {h:String}", h=asked_for_reviews) or None

            wait_until(judged_by_the_new_rule, timeout_s=60, what="the worker judges by the new rule", interval_s=0.5)
            published = publish_planned(
                [one], count=1, tracer=tracer, artifacts=artifacts, truth_file=tmp_path / "truth", session_label="walk"
            )
        (run_id,) = published.run_ids
        wait_until(
            lambda: rows("SELECT 1 FROM runs WHERE run_id = {r:String}", r=run_id) or None, timeout_s=60, what="the run"
        )

        # why: the first line names the mask
        assert run("why", run_id).stdout.splitlines()[0].startswith("Masking removed the source of")

        # reviews resolve: a person gives the right value
        item = wait_until(
            lambda: rows("SELECT * FROM reviews WHERE run_id = {r:String} AND item_id IS NOT NULL", r=run_id) or None,
            timeout_s=60,
            what="the review item",
        )[0]
        field = str(item["field_path"])
        right = str(one.case.truth[field])
        resolved = run(
            "reviews", "resolve", str(item["item_id"]), "--outcome", "overridden", "--override-text", right,
            "--reviewer", "reviewer:17", "--json",
        )  # fmt: skip
        assert artifacts.get(json.loads(resolved.stdout)["override_ref"]) == right.encode(), "stored, then referenced"
        wait_until(
            lambda: (
                rows("SELECT 1 FROM runs WHERE run_id = {r:String} AND review_outcome = 'overridden'", r=run_id) or None
            ),
            timeout_s=90,
            what="the next revision",
        )

        # eval export: one case, and the run knows of it
        cases = tmp_path / "cases"
        exported = json.loads(run("eval", "export", "--run", run_id, "--to", str(cases), "--json").stdout)
        (case_id,) = exported["cases"]
        assert re.match(r"policy-mask-", case_id)
        again = json.loads(run("eval", "export", "--run", run_id, "--to", str(cases), "--json").stdout)
        assert again["cases"] == {case_id: "same"}

        # eval gate: red for the release that masks too much, green for the one that does not
        gate = ("eval", "gate", str(cases), "--record", "--policy", str(stack.policy), "--target")
        red = run(*gate, "causeline.demo.evals:masks_too_much", code=1, release="r1")
        assert "mask is back: Masking removed the source" in red.stdout
        green = run(*gate, "causeline.demo.evals:answer", release="r2")
        assert "1 case: 1 passed" in green.stdout

        # the chain, as one query
        def chain() -> list[dict[str, object]]:
            said = run("eval", "chain", "--workflow", "policy", "--since", "1d", "--json").stdout
            return [row for row in map(json.loads, said.splitlines()) if row["case_id"] == case_id]

        def complete() -> dict[str, object] | None:
            found = [row for row in chain() if row["failed_runs"] == 1 and len(row["results"]) == 2]  # type: ignore[arg-type]
            return found[0] if found else None

        whole = wait_until(complete, timeout_s=90, what=f"the whole chain of {case_id}")
        assert whole["first_run"] == run_id
        assert whole["reviews"] == ["overridden"]
        assert whole["results"] == ["r1: failed", "r2: passed"]
        said = run("why", run_id).stdout
        assert "no eval case keeps it from happening again" not in said
