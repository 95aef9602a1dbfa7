"""A secret in every place of every real client's requests: on a whole stack it is met in the artifact store alone, and
with content dropped by setting nowhere. Topics, tables, logs, metrics, answers and files are swept, whole.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, cycle
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from causeline.console.store import open_store
from causeline.stack.endpoints import Endpoints
from causeline.stack.ports import free_ports
from causeline.stack.waiting import wait_until
from interop.recorder import Request
from tests.integration.security import sweep
from tests.unit.otlp.planting import SHAPES, message_of, planted, recordings

pytestmark = [pytest.mark.stack, pytest.mark.slow]

_KEPT, _DROPPED = 40_000, 60_000
"""Where the numbers of the secrets begin, that no two are alike."""
_MARK: Final[Callable[[int], re.Pattern[bytes]]] = lambda first: re.compile(rb"%d\d{4}x" % (first // 10_000))  # noqa: E731


def _requests(first: int) -> tuple[list[Request], list[str], set[str]]:
    """All recordings planted, traces of their own; the secrets; the ids of the traces that have a root."""
    requests: list[Request] = []
    secrets: list[str] = []
    traces: set[str] = set()
    for (_, recorded), shape in zip(recordings(), cycle(SHAPES.values()), strict=False):
        made, own = planted(recorded, shape, first=first + len(secrets))
        secrets += own
        for request in made:
            message = message_of(request)
            for each in _with_trace(message):
                each.trace_id = (first // 10_000).to_bytes(1, "big") + each.trace_id[1:]
                if getattr(each, "parent_span_id", b"-") == b"":  # without one it is a run only after the idle time-out
                    traces.add(each.trace_id.hex())
            requests.append(Request(request.signal, False, "http", message.SerializeToString()))
    assert len(secrets) < 10_000
    return requests, secrets, traces


def _with_trace(message: Any) -> Iterator[Any]:
    for group in getattr(message, "resource_spans", ()):
        for scoped in group.scope_spans:
            yield from scoped.spans
    for group in getattr(message, "resource_logs", ()):
        for scoped in group.scope_logs:
            yield from scoped.log_records


def _sent(url: str, requests: list[Request]) -> Iterator[sweep.Place]:
    headers = {"content-type": "application/x-protobuf"}
    for request in requests:
        answer = httpx.post(f"{url}/v1/{request.signal}", content=request.body, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        yield "an answer", answer.content + repr(answer.headers.raw).encode()
    broken = httpx.post(f"{url}/v1/traces", content=requests[0].body[:-7], headers=headers, timeout=30)
    yield "the answer to half a request", broken.content + repr(broken.headers.raw).encode()


def _seen(stack: Endpoints, traces: set[str]) -> None:
    query = "SELECT DISTINCT run_id FROM runs WHERE run_id IN {runs:Array(String)}"
    with open_store(stack.clickhouse()) as store:

        def missing() -> set[str]:
            return traces - {str(row["run_id"]) for row in store.ask(query, {"runs": sorted(traces)})}

        wait_until(lambda: not missing(), timeout_s=180, what=lambda: f"{len(missing())} traces are no runs")


def _everywhere(stack: Endpoints) -> Iterator[sweep.Place]:
    """All that a stack keeps or shows but for the artifact store."""
    services = ("worker", "load", "receive")
    return chain(
        sweep.topics(stack),
        sweep.tables(stack),
        sweep.metrics(stack, [name for name in _services(stack) if name.startswith(services)]),
        sweep.files(stack.state_dir, but=[stack.artifacts]),
    )


def _services(stack: Endpoints) -> list[str]:
    return sorted(file.stem for file in (stack.state_dir / "logs").glob("*.log"))


def _found(places: Iterator[sweep.Place], mark: re.Pattern[bytes]) -> list[str]:
    return [f"{where}: {found[0]!r}" for where, data in places if (found := mark.search(data))]


@contextmanager
def _dropping(stack: Endpoints, log: Path) -> Iterator[str]:
    """A receiver on the same broker that drops content; gives its address."""
    [port] = free_ports(1)
    environment = {**os.environ, **stack.environment(), "CAUSELINE_RECEIVE_CONTENT": "drop"}
    command = [sys.executable, "-m", "causeline.cli", "receive", "--port", str(port), "--grpc-port", "-1"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            url = f"http://127.0.0.1:{port}"

            def answers() -> bool:
                try:
                    return httpx.get(f"{url}/healthz").status_code == 200
                except httpx.TransportError:
                    return False

            wait_until(answers, timeout_s=60, what="the receiver does not answer")
            yield url
        finally:
            process.terminate()
            assert process.wait(30) == 0, log.read_text("utf-8")


def test_a_secret_in_every_place_is_in_the_artifact_store_alone(stack: Endpoints) -> None:
    requests, secrets, traces = _requests(_KEPT)
    mark = _MARK(_KEPT)
    answers = list(_sent(stack.otlp_url, requests))
    _seen(stack, traces)
    assert _found(chain(answers, _everywhere(stack)), mark) == [], f"of {len(secrets)} secrets"
    kept = {found for _, data in sweep.files(stack.artifacts) for found in mark.findall(data)}
    wanted = {found for secret in secrets for found in mark.findall(secret.encode())}
    assert wanted - kept == set(), "nothing that a client said is lost"


def test_with_content_dropped_it_is_nowhere(stack: Endpoints, tmp_path: Path) -> None:
    requests, secrets, traces = _requests(_DROPPED)
    log = tmp_path / "receive.log"
    with _dropping(stack, log) as url:
        answers = [*_sent(url, requests), ("its metrics", httpx.get(f"{url}/metrics").content)]
        _seen(stack, traces)
    places = chain(answers, sweep.files(tmp_path), _everywhere(stack), sweep.files(stack.artifacts))
    assert _found(places, _MARK(_DROPPED)) == [], f"of {len(secrets)} secrets"


def test_the_sweep_sees_what_travels(stack: Endpoints) -> None:
    """A model's name is a word that travels: the same sweep finds it on the topics and in the tables."""
    requests, _, _ = _requests(_KEPT)
    message = message_of(requests[0])
    span = next(each for each in _with_trace(message) if not each.parent_span_id)
    span.attributes.add(key="gen_ai.operation.name").value.string_value = "chat"
    span.attributes.add(key="gen_ai.request.model").value.string_value = "model-39999x"
    span.trace_id = b"\x27" + span.trace_id[1:]
    list(_sent(stack.otlp_url, [Request("traces", False, "http", message.SerializeToString())]))
    _seen(stack, {span.trace_id.hex()})
    found = _found(_everywhere(stack), re.compile(rb"39999x"))
    assert any(each.startswith("topic") for each in found), found
    assert any(each.startswith("table") for each in found), found
