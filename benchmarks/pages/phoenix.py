"""Arize Phoenix beside us: the same runs, sent to it by our exporter, and its page of them in the same browser."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx
from playwright.sync_api import Browser

from benchmarks.pages.browsing import seen
from benchmarks.receivers.processes import PROTOBUF, TRACES, installed
from causeline.otlp.exporter.packing import requests
from causeline.otlp.exporter.settings import ExporterSettings
from causeline.schemas.run import Run
from causeline.stack.waiting import wait_until

_STORED_S = 300
_SHOWN = "name => document.body && document.body.innerText.includes(name)"


def beside(browser: Browser, runs: Sequence[Run], rounds: int) -> dict[str, dict[str, list[float]]] | None:
    """By how many steps a run has, what Phoenix takes to show it; None where Phoenix is not installed."""
    found = installed(make=False).get("phoenix")
    if found is None:
        return None
    style = ExporterSettings.model_fields["style"].default
    with tempfile.TemporaryDirectory() as folder, found(Path(folder), "") as phoenix:
        for body, _ in requests(runs, style=style, batch_spans=10_000, batch_bytes=30_000_000):
            httpx.post(phoenix.url + TRACES, content=body, headers=PROTOBUF, timeout=60).raise_for_status()
        for run in runs:
            wait_until(
                lambda run=run: _spans(phoenix.url, run.run_id) >= len(run.steps),  # type: ignore[misc]
                timeout_s=_STORED_S,
                what=f"Phoenix does not show run {run.run_id}",
            )
        figures: dict[str, dict[str, list[float]]] = {}
        for run in runs:
            mine = figures.setdefault(str(len(run.steps)), {})
            for _ in range(rounds):
                cpu_s = phoenix.cpu_s()
                name = f"() => ({_SHOWN})({run.steps[10].step_name!r})"
                shown = seen(browser, f"{phoenix.url}/redirects/traces/{run.run_id}", name)
                for key, value in {**shown, "server_ms": 1000 * (phoenix.cpu_s() - cpu_s)}.items():
                    mine.setdefault(key, []).append(value)
        return figures


def _spans(url: str, trace_id: str) -> int:
    query = {
        "query": "query($id: String!) { getTraceByOtelId(traceId: $id) { numSpans } }",
        "variables": {"id": trace_id},
    }
    answer = httpx.post(f"{url}/graphql", json=query, timeout=30).json()
    found = (answer.get("data") or {}).get("getTraceByOtelId")
    return int(found["numSpans"]) if found else 0
