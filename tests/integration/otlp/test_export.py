"""Runs on the topic are traces at a backend: each once, within the backends' published rules, whatever it answers."""

import json
import os
import subprocess
import sys

import pytest

from causeline.console.store import open_store
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.tracer import Tracer
from causeline.schemas.ids import derived_id
from causeline.stack.endpoints import Endpoints
from causeline.stack.waiting import wait_until
from tests.integration.otlp.backend import Backend, running_backend

pytestmark = pytest.mark.stack


def export(stack: Endpoints, backend: Backend, group: str) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-m", "causeline.cli", "export", "--once", "--json", "--group", group],
        env={**os.environ, **stack.environment(), "CAUSELINE_EXPORT_ENDPOINT": backend.url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts: dict[str, int] = json.loads(done.stdout)
    return counts


def published(stack: Endpoints, count: int, project: str) -> set[str]:
    """Runs of this test that ClickHouse shows, with their reviews."""
    with Tracer(project, emitter=Emitter(kafka=stack.kafka()), enabled=True) as tracer:
        ids = set()
        for number in range(count):
            with tracer.run("exported", labels={"number": str(number)}) as run:
                with run.step("model_call", "answer", model_name="m", model_provider="p") as step:
                    step.set(input_tokens=number)
                run.evidence("$.total", refs=["doc:1"], score=0.2)
                if number == 0:
                    run.review("approved", reviewer_ref="reviewer:1")
            ids.add(run.run_id)
        assert not tracer.flush(60)
    with open_store(stack.clickhouse()) as store:
        query = f"SELECT count() AS runs, sum(length(reviews)) AS reviews FROM runs WHERE project = '{project}'"
        wanted = {"runs": count, "reviews": 1}
        wait_until(lambda: dict(store.ask(query)[0]) == wanted, timeout_s=60, what="the runs are not all there")
    return ids


@pytest.mark.slow
def test_each_run_is_sent_once_whatever_the_backend_answers_first(stack: Endpoints) -> None:
    ids = published(stack, 60, "export")
    with running_backend() as backend:
        backend.answers = [(503, {}), (429, {"Retry-After": "0"})]
        first = export(stack, backend, "test-export")
        assert first["refused"] == first["unreadable"] == 0
        roots = [span for span in backend.spans if span.span_id.hex() == derived_id(span.trace_id.hex())[:16]]
        ours = [span.trace_id.hex() for span in roots if span.trace_id.hex() in ids]
        assert sorted(ours) == sorted(ids)
        assert backend.broken_rules == []
        links = [span.links[0].trace_id.hex() for span in backend.spans if span.links]
        assert len([link for link in links if link in ids]) == 1

        sent = len(backend.spans)
        assert export(stack, backend, "test-export")["runs"] == 0
        assert len(backend.spans) == sent


def test_a_backend_that_refuses_for_good_does_not_stop_the_rest(stack: Endpoints) -> None:
    published_ids = published(stack, 3, "refused")
    with running_backend() as backend:
        backend.answers = [(400, {})]
        done = subprocess.run(
            [sys.executable, "-m", "causeline.cli", "export", "--once", "--group", "test-refused"],
            env={**os.environ, **stack.environment(), "CAUSELINE_EXPORT_ENDPOINT": backend.url},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 1
    assert "refused" in done.stderr
    assert {span.trace_id.hex() for span in backend.spans} & published_ids
