"""The demo's part over OTLP: what the receiver acknowledged is there, span by span, and can be told from the rest."""

import secrets
from dataclasses import replace

import pytest

from causeline.cli import demo_otlp
from causeline.console.lookups import run_by_id
from causeline.console.run_filter import RunFilter
from causeline.console.run_lists import find_runs
from causeline.console.store import open_store
from causeline.demo import over_otlp
from causeline.schemas.errors import Unreachable
from causeline.stack.endpoints import Endpoints
from causeline.stack.waiting import wait_until

pytestmark = pytest.mark.stack

RUNS = 40


def test_all_of_it_is_there_and_its_gaps_with_it(stack: Endpoints) -> None:
    session = secrets.token_hex(6)
    sent = over_otlp.publish_over_otlp(stack.otlp_url, runs=RUNS, seed=7, session=session, project="otlp-demo")
    assert len(set(sent.run_ids)) == RUNS
    with open_store(stack.clickhouse()) as store:
        account = demo_otlp.account(store, sent, patience_s=60)
        assert account.difference is None
        assert account == demo_otlp.OtlpAccount(RUNS, RUNS, 4 * RUNS, 4 * RUNS)
        wanted = RunFilter(sessions=(session,), labels={"service.name": over_otlp.SERVICE})
        # A list is filled from the same rows a moment after them.
        found = wait_until(
            lambda: found if len(found := find_runs(store, wanted, limit=RUNS)) == RUNS else None,
            timeout_s=60,
            what="every run to be in the list",
        )
        assert {run.run_id for run in found} == set(sent.run_ids)
        assert {(run.project, run.workflow, run.verdict) for run in found} == {
            ("otlp-demo", over_otlp.WORKFLOW, "complete")
        }
        assert {run.model_name for run in found} == {"acme-small"}
        kinds = {kind for run in found for kind in run.gap_kinds}
        assert kinds, "some questions have no passage"
        failed = [run for run in found if run.status == "error"]
        assert failed, "some calls fail"
        whole = run_by_id(store, found[0].run_id)
        assert sorted(str(step.step_kind) for step in whole.steps) == ["chain", "model_call", "retrieve"]
        assert [each.field_path for each in whole.evidence] == ["$.answer"]


def test_a_run_that_lacks_a_span_is_named_with_how_it_stands(stack: Endpoints) -> None:
    session = secrets.token_hex(6)
    sent = over_otlp.publish_over_otlp(stack.otlp_url, runs=1, seed=8, session=session, project="otlp-short")
    with open_store(stack.clickhouse()) as store:
        assert demo_otlp.account(store, sent, patience_s=60).difference is None
        one_more = replace(sent, spans_a_run=sent.spans_a_run + 1)
        found = demo_otlp.account(store, one_more, patience_s=1).difference
    assert found == (
        f"Of 1 runs and 5 spans over OTLP 1 and 4 can be asked for, e.g. {sent.run_ids[0]}, complete with 4 of 5,"
        " closed as grace, missing: nothing that it knows of."
    )


def test_spans_that_nobody_takes_are_an_error() -> None:
    with pytest.raises(Unreachable, match="acknowledged 0"):
        over_otlp.publish_over_otlp("http://127.0.0.1:1", runs=1, seed=7, session="s", project="p", timeout_s=1)


def test_a_difference_is_one_sentence() -> None:
    assert demo_otlp.OtlpAccount(2, 2, 8, 8).difference is None
    assert demo_otlp.OtlpAccount(2, 1, 8, 4).difference == ("Of 2 runs and 8 spans over OTLP 1 and 4 can be asked for.")
