"""Arize Phoenix beside us: the same runs, sent to it by our exporter, and its page of them in the same browser."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx
from playwright.sync_api import Browser
from playwright.sync_api import TimeoutError as PageTimeout

from benchmarks.pages.browsing import seen
from benchmarks.receivers.processes import PROTOBUF, TRACES, Receiver, installed
from causeline.otlp.exporter.packing import requests
from causeline.otlp.exporter.settings import ExporterSettings
from causeline.schemas.errors import EnvironmentFault
from causeline.schemas.run import Run
from causeline.stack.waiting import wait_until

_STORED_S = 300
_BATCH_SPANS = 512
"""As the batch processor of OpenTelemetry's SDKs has it."""
_SHOWN = "name => document.body && document.body.innerText.includes(name)"


def beside(browser: Browser, runs: Sequence[Run], rounds: int) -> tuple[dict[str, dict[str, list[float]]], list[str]]:
    """By how many steps a run has, what Phoenix takes to show it; and a sentence for each that is not measured."""
    found = installed(make=False).get("phoenix")
    if found is None:
        return {}, ["Phoenix is not installed here and not measured."]
    figures: dict[str, dict[str, list[float]]] = {}
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder, found(Path(folder), "") as phoenix:
        for run in runs:
            steps = len(run.steps)
            try:
                _send(phoenix.url, run)
                figures[str(steps)] = _shown(browser, phoenix, run, rounds)
            except (EnvironmentFault, httpx.TransportError):
                notes.append(
                    f"Phoenix stored {_spans(phoenix.url, run.run_id):,} of {steps:,} steps in time: not measured."
                )
            except PageTimeout:
                notes.append(f"Phoenix did not show its page of {steps:,} steps within two minutes: not measured.")
    return figures, notes


def _shown(browser: Browser, phoenix: Receiver, run: Run, rounds: int) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {}
    name = f"() => ({_SHOWN})({run.steps[10].step_name!r})"
    for _ in range(rounds):
        cpu_s = phoenix.cpu_s()
        shown = seen(browser, f"{phoenix.url}/redirects/traces/{run.run_id}", name)
        for key, value in {**shown, "server_ms": 1000 * (phoenix.cpu_s() - cpu_s)}.items():
            figures.setdefault(key, []).append(value)
    return figures


def _send(url: str, run: Run) -> None:
    """As many spans a request as an SDK sends; returns when all are stored. Raises EnvironmentFault, TransportError."""
    style = ExporterSettings.model_fields["style"].default
    for body, _ in requests([run], style=style, batch_spans=_BATCH_SPANS, batch_bytes=30_000_000):
        httpx.post(url + TRACES, content=body, headers=PROTOBUF, timeout=_STORED_S).raise_for_status()
    wait_until(
        lambda: _spans(url, run.run_id) >= len(run.steps),
        timeout_s=_STORED_S,
        what=f"Phoenix does not show run {run.run_id}",
    )


def _spans(url: str, trace_id: str) -> int:
    query = {
        "query": "query($id: String!) { getTraceByOtelId(traceId: $id) { numSpans } }",
        "variables": {"id": trace_id},
    }
    answer = httpx.post(f"{url}/graphql", json=query, timeout=30).json()
    found = (answer.get("data") or {}).get("getTraceByOtelId")
    return int(found["numSpans"]) if found else 0
