"""Content and secrets stay in the artifact store: canaries are planted everywhere, and every byte that is kept or shown
is searched for them."""

import base64
import json
import logging
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from causeline.console.store import open_store
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.tracer import Tracer
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.events import ConflictSide
from causeline.schemas.vocabulary import EventType
from causeline.stack.endpoints import Endpoints
from causeline.stack.local import status
from causeline.stack.ports import free_ports
from causeline.stack.waiting import wait_until
from tests.integration.security import sweep
from tests.integration.security.canaries import ALL, API_KEY, EMAIL, JWT, PEM, as_json, canaries_in, masked

pytestmark = pytest.mark.stack

PROJECT = "canaries"
BAIT = "harmless-bait-5dK81"
"""Allowed to travel: where the sweep does not find it, it would not have found a canary either."""
WITH_METRICS = ("worker-1", "load-1", "receive")


@dataclass(frozen=True)
class Published:
    """Runs full of canaries: their ids, and all that was said about them on this side."""

    run_ids: tuple[str, ...]
    prompt_ref: str
    said: str


@pytest.fixture(scope="module")
def published(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Runs with canaries in every place that an application has for them, joined and stored."""
    log = tmp_path_factory.mktemp("log") / "tracing.log"
    handler = logging.FileHandler(log)
    logging.getLogger().addHandler(handler)
    artifacts = ArtifactStore.open(stack.artifacts)
    settings = EmitterSettings(topic_prefix=stack.topic_prefix)
    by_contract = Tracer(PROJECT, emitter=Emitter(settings, kafka=stack.kafka()))
    by_mask = Tracer(PROJECT, emitter=Emitter(settings, kafka=stack.kafka()), mask=_mask)
    try:
        prompt_ref, *run_ids = [*_say_what_the_contract_stops(by_contract, artifacts), *_say_what_a_mask_stops(by_mask)]
        assert not by_contract.close(30)
        assert not by_mask.close(30)
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    assert by_contract.stats().mended >= 9, "what breaks the contract was to be left out"
    assert by_contract.stats().invalid == 0, "and what is left was to be on record"
    assert by_mask.stats().mask_failed == 1
    otlp_id, answers = _send_spans(stack)
    run_ids.append(otlp_id)
    _wait_until_stored(stack, run_ids)
    said = f"{log.read_text()}\n{by_contract.stats()}\n{by_mask.stats()}\n{answers}"
    return Published(tuple(run_ids), prompt_ref, said)


def _mask(kind: EventType, said: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if kind is EventType.EVAL_RECORDED:
        raise ValueError(f"a hook that fails over {ALL}")
    return {name: masked(value) for name, value in said.items()}


def _say_what_the_contract_stops(tracer: Tracer, artifacts: ArtifactStore) -> list[str]:
    """No mask: content is stored and referred to, exceptions become their class, and what does not fit is refused."""
    prompt_ref = artifacts.put(as_json(prompt=f"You are {ALL}", document=ALL))
    headers = {"authorization": f"Bearer {JWT}", "x-api-key": API_KEY, "baggage": f"user={EMAIL}", "cookie": PEM}
    runs = []
    for fail in (_raise_plainly, _raise_a_chain, _raise_a_group):
        run = tracer.run("invoice", input_ref=prompt_ref, labels={"bait": BAIT}, traceparent=f"00-{JWT}")
        runs.append(run.run_id)
        with suppress(Exception), run, run.model_call("extract", prompt_id="p", raw_output_ref=prompt_ref):
            run.inject(headers)
            with tracer.continue_run(headers, workflow="invoice") as elsewhere, elsewhere.tool("lookup"):
                pass
            fail()
    run = tracer.run("invoice")
    runs.append(run.run_id)
    with run:
        for wrong in (
            {"temperature": ALL},
            {"prompt": ALL},
            {"labels": {"k": ALL * 40}},
            {"input_tokens": PEM},
            {"input_ref": ALL},
            {"context_refs": [PEM, f"note: {ALL}"]},
        ):
            with run.step("tool", "wrong") as step:
                step.set(**wrong)
        run.evidence("$.total", refs=[ALL * 20], score=0.9)
        run.review("approved", reviewer_ref=EMAIL, note_ref=f"said: {ALL}", override_ref=PEM)
        run.finish(raw_output_ref=ALL * 20)
    return [prompt_ref, *runs]


def _raise_plainly() -> None:
    raise ValueError(ALL)


def _raise_a_chain() -> None:
    try:
        dict[str, str]()[JWT]
    except KeyError as error:
        fault = RuntimeError(PEM)
        fault.add_note(EMAIL)
        raise fault from error


def _raise_a_group() -> None:
    raise ExceptionGroup(API_KEY, [ValueError(EMAIL), OSError(5, JWT, PEM)])


def _say_what_a_mask_stops(tracer: Tracer) -> list[str]:
    """Where texts of the application's own travel, the masking hook sees each before it is written."""
    with tracer.run("invoice", input_ref=f"s3://b/{EMAIL}", labels={"user": EMAIL, API_KEY: JWT, "bait": BAIT}) as run:
        with run.step("tool", f"mail {EMAIL}", announce=True) as step:
            step.set(route_reason=ALL[:900], validation_errors=[f"not {API_KEY}", PEM]).label({"jwt": JWT})
        with run.validate("shape") as step:
            step.set(status="error", error_type=API_KEY, validation_errors=[f"{JWT} is no date"])
        side = ConflictSide(source_ref=f"mail:{EMAIL}", value_ref=f"v:{API_KEY}")
        run.evidence("$.total", refs=[f"doc:{JWT}"], sides=[side, ConflictSide(source_ref="b", value_ref="c")])
        run.fallback("other_model", reason=f"{EMAIL} asked for it with {PEM}")
        run.review("rejected", reviewer_ref=EMAIL, note_ref=f"note:{API_KEY}")
        run.eval(API_KEY, "passed")
        run.finish("partial", raw_output_ref=f"out:{JWT}", labels={"last": PEM})
    return [run.run_id]


def _send_spans(stack: Endpoints) -> tuple[str, str]:
    """The same by OpenTelemetry's names, and requests that cannot be read; the run's id, and what was answered."""
    trace = os.urandom(16).hex()
    end_ns = time.time_ns()  # spans of long ago would be beyond the retention, and gone at the next merge
    texts = {
        "gen_ai.operation.name": "chat",
        "gen_ai.input.messages": ALL,
        "gen_ai.output.messages": ALL,
        "input.value": ALL,
        "http.request.header.authorization": f"Bearer {JWT}",
        "http.request.header.x-api-key": API_KEY,
        "http.request.header.x-auth-token": JWT,
        "http.request.header.cookie": PEM,
        "url.full": f"https://host.example/?api_key={API_KEY}",
        "url.query": f"token={JWT}",
        "user.email": EMAIL,
        "enduser.id": EMAIL,
        "db.statement": f"SELECT '{EMAIL}'",
        "exception.message": ALL,
        "tls.client.certificate": PEM,
    }
    span = {
        "traceId": trace,
        "spanId": os.urandom(8).hex(),
        "name": "chat",
        "startTimeUnixNano": str(end_ns - 1_000_000_000),
        "endTimeUnixNano": str(end_ns),
        "status": {"code": 2, "message": ALL},
        "attributes": _attributes(texts),
        "events": [
            {
                "name": "exception",
                "timeUnixNano": str(end_ns - 500_000_000),
                "attributes": _attributes(
                    {"exception.type": "ValueError", "exception.message": ALL, "exception.stacktrace": ALL}
                ),
            }
        ],
    }
    resource = {"attributes": _attributes({"service.name": "shop", "causeline.project": PROJECT, "process.owner": ""})}
    good = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    bad = [ALL.encode(), as_json(resourceSpans=ALL), as_json(resourceSpans=[{"scopeSpans": [{"spans": [ALL]}]}])]
    answers = [_post(stack, as_json(**good)), *(_post(stack, body) for body in bad)]
    assert answers[0].startswith("200")
    assert answers[1].startswith("400")
    return trace, "\n".join(answers)


def _attributes(texts: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": text}} for key, text in texts.items()]


def _post(stack: Endpoints, body: bytes) -> str:
    headers = {"content-type": "application/json", "authorization": f"Bearer {JWT}", "x-api-key": API_KEY}
    request = urllib.request.Request(f"{stack.otlp_url}/v1/traces?key={API_KEY}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return f"{answer.status} {answer.read().decode()}"
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code} {error.read().decode()}"


def _wait_until_stored(stack: Endpoints, run_ids: Iterable[str]) -> None:
    wanted = sorted(set(run_ids))
    with open_store(stack.clickhouse()) as store:

        def stored() -> bool:
            rows = store.ask("SELECT run_id FROM runs WHERE project = {project:String}", {"project": PROJECT})
            return {str(row["run_id"]) for row in rows} >= set(wanted)

        wait_until(stored, timeout_s=60, what="the runs with canaries in the store", interval_s=0.2)


def _cli(stack: Endpoints, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "causeline.cli", *arguments],
        capture_output=True, text=True, check=False, timeout=60, env=os.environ | stack.environment(),
    )  # fmt: skip
    return f"{' '.join(arguments[:1])}: {done.stdout}\n{done.stderr}"


def _found(places: Iterable[sweep.Place], look: Callable[[bytes], Iterable[str]] = canaries_in) -> dict[str, list[str]]:
    """What was found where."""
    found: dict[str, list[str]] = {}
    for where, data in places:
        for name in look(data):
            found.setdefault(name, []).append(where)
    return found


def _has_bait(data: bytes) -> list[str]:
    return [BAIT] if BAIT.encode() in data else []


def test_nothing_on_disk_spells_a_canary_but_the_artifact_store(stack: Endpoints, published: Published) -> None:
    assert _found(sweep.files(stack.state_dir, but=[stack.artifacts])) == {}

    stored = ArtifactStore.open(stack.artifacts).get(published.prompt_ref)
    assert canaries_in(stored) == {"API key", "JWT", "PEM", "e-mail"}, "the store is where content belongs"


def test_no_topic_has_a_canary(stack: Endpoints, published: Published) -> None:
    places = list(sweep.topics(stack))

    assert _found(places) == {}
    bait = _found(places, _has_bait)[BAIT]
    assert {where.partition("/")[0] for where in bait} >= {"topic causeline.events", "topic causeline.runs"}


def test_no_table_has_a_canary(stack: Endpoints, published: Published) -> None:
    places = list(sweep.tables(stack))

    assert _found(places) == {}
    assert len(set(_found(places, _has_bait)[BAIT])) >= 2, "both events and runs have labels"


def test_no_log_no_error_and_no_metric_has_a_canary(stack: Endpoints, published: Published) -> None:
    run_id = published.run_ids[0]
    commands = (("why", run_id), ("show", run_id), ("show", run_id, "--json"), ("runs", "--project", PROJECT))
    said = [
        ("the application's log and statistics", published.said.encode()),
        *((command[0], _cli(stack, *command).encode()) for command in commands),
    ]
    pages = list(sweep.metrics(stack, WITH_METRICS))

    assert _found([*said, *pages]) == {}
    assert "invalid" in published.said
    assert run_id.encode() in said[1][1], "the commands did not get as far as to say anything"
    assert any(b"messages_total" in page for _, page in pages)


def test_a_spool_holds_no_canary(tmp_path: Path) -> None:
    nowhere = KafkaConnection(bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}")
    settings = EmitterSettings(spool=tmp_path / "spool", spool_after_s=0.01)
    tracer = Tracer(PROJECT, emitter=Emitter(settings, kafka=nowhere), mask=_mask)
    by_contract = Tracer(PROJECT, emitter=Emitter(settings, kafka=nowhere))
    _say_what_a_mask_stops(tracer)
    _say_what_the_contract_stops(by_contract, ArtifactStore.open(tmp_path / "artifacts"))
    assert not tracer.close(0.1)
    assert not by_contract.close(0.1)

    places = list(sweep.files(tmp_path / "spool"))
    assert _found(places) == {}
    assert _found(places, _has_bait), "the spool holds no event"


def test_the_stack_writes_its_passwords_nowhere_else(stack: Endpoints, published: Published) -> None:
    files = [stack.clickhouse_password_file, stack.clickhouse_reader_password_file]
    secrets = {file.name: file.read_bytes().strip() for file in files}

    def look(data: bytes) -> list[str]:
        return [name for name, secret in secrets.items() if secret in data]

    running = {each.process.pid: each.name for each in status(stack.state_dir).services if each.process is not None}
    told = {pid: " ".join(psutil.Process(pid).cmdline()).encode() for pid in running}
    argv = [(f"the command line of {running[pid]}", line) for pid, line in told.items()]
    environment = [
        (f"the environment of {running[pid]}", "\n".join(psutil.Process(pid).environ().values()).encode())
        for pid in running
    ]
    assert len(argv) >= 6
    assert _found([*sweep.files(stack.state_dir, but=files), *sweep.topics(stack), *argv, *environment], look) == {}
    assert _found(sweep.tables(stack), look) == {}
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert stack.state_dir.stat().st_mode & 0o777 == 0o700


def test_the_sweep_itself_is_not_blind(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "leak.bin").write_bytes(b"\xff" * 100 + json.dumps(ALL).encode())
    (tmp_path / f"{EMAIL}.txt").touch()

    found = _found(sweep.files(tmp_path))

    assert found.keys() == {"API key", "JWT", "PEM", "e-mail"}
    assert found["e-mail"] == ["deep/leak.bin", f"the name of {EMAIL}.txt"]
    assert canaries_in(API_KEY.encode().hex().encode()) == {"API key"}
    assert canaries_in(b"x" + base64.b64encode(f"..{JWT}..".encode())) == {"JWT"}
