"""A second, independent consumer of `causeline export`: `python -m interop.phoenix [--cache FOLDER] [--runs N]`.

Arize Phoenix runs in an environment of its own, on SQLite in a temporary folder. The demo's runs are exported to it
over OTLP/HTTP, twice, and read back by its REST interface: runs, spans, kinds, parents, times, outcomes and facts of
model calls must be those of ClickHouse, each once.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from causeline.console.lookups import runs_by_id
from causeline.console.store import open_store
from causeline.schemas.errors import EnvironmentFault
from causeline.schemas.run import Run
from causeline.stack.endpoints import Endpoints
from causeline.stack.local import down
from causeline.stack.ports import free_ports
from causeline.stack.waiting import wait_until
from interop.counted import Seen, compare
from interop.serving import serving

VERSION = "20.26.1"
INSTALL_TIMEOUT_S = 600
STEP_TIMEOUT_S = 240
MARK = "the last span"
_PAGE = 1000
_TIMES = 2


def install(cache: Path) -> Path:
    """Phoenix in an environment of its own, or that which is there; raises EnvironmentFault where it can't be had."""
    home = cache / "phoenix"
    python = home / "venv" / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    asked = f"arize-phoenix=={VERSION}"
    try:
        if not python.exists():
            home.mkdir(parents=True, exist_ok=True)
            made = [*uv, "venv", "--quiet", "--python", sys.executable, str(home / "venv")]
            subprocess.run(made, check=True, capture_output=True, timeout=INSTALL_TIMEOUT_S)
        wanted = [*uv, "pip", "install", "--quiet", "--python", str(python), asked]
        subprocess.run(wanted, check=True, capture_output=True, timeout=INSTALL_TIMEOUT_S)
    except (subprocess.SubprocessError, OSError) as error:
        hint = "Check the package index that uv uses; nothing else of `make interop` needs Phoenix."
        raise EnvironmentFault(f"{asked} could not be installed.", hint=hint) from error
    return python.with_name("phoenix")


@contextmanager
def running(binary: Path, folder: Path) -> Iterator[httpx.Client]:
    """Phoenix on free ports of loopback, once it is well; gives a client of it."""
    http, grpc = free_ports(2)
    environment = {
        **os.environ,
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(http),
        "PHOENIX_GRPC_PORT": str(grpc),
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    environment.pop("PYTHONPATH", None)  # its packages are its own
    command = [str(binary), "serve"]
    with serving("Phoenix", command, port=http, well="/healthz", log=folder / "log", environment=environment) as client:
        yield client


def spans_at(client: httpx.Client) -> list[Seen]:
    """Every span that Phoenix shows, page by page, but for the mark."""
    found: list[Seen] = []
    asked: dict[str, Any] = {"limit": _PAGE}
    while True:
        answer = client.get("/v1/projects/default/spans", params=asked)
        if answer.status_code == 404:  # the project begins with its first span
            return found
        page = answer.raise_for_status().json()
        found += [_seen(span) for span in page["data"] if span["name"] != MARK]
        if not page["next_cursor"]:
            return found
        asked["cursor"] = page["next_cursor"]


def _seen(span: dict[str, Any]) -> Seen:
    return Seen(
        trace_id=span["context"]["trace_id"],
        span_id=span["context"]["span_id"],
        parent_id=span["parent_id"],
        kind=span["span_kind"],
        started_at=datetime.fromisoformat(span["start_time"]),
        finished_at=datetime.fromisoformat(span["end_time"]),
        failed=span["status_code"] == "ERROR",
        attributes=span["attributes"],
        events=tuple(event["name"] for event in span["events"]),
    )


def causeline(*words: str, environment: dict[str, str]) -> dict[str, Any]:
    """What a command says in JSON; what it says of its errors goes through, and EnvironmentFault is raised."""
    command = [sys.executable, "-m", "causeline.cli", *words, "--json"]
    whole = {**os.environ, **environment}
    try:
        said = subprocess.run(command, env=whole, check=True, stdout=subprocess.PIPE, timeout=STEP_TIMEOUT_S)
    except subprocess.SubprocessError as error:
        raise EnvironmentFault(f"`causeline {words[0]}` did not come to its end.", hint="It says why above.") from error
    answer: dict[str, Any] = json.loads(said.stdout)
    return answer


def demo_runs(state_dir: Path, count: int) -> tuple[Endpoints, list[Run]]:
    """The demo on a stack of its own, and its runs as ClickHouse has them."""
    causeline("demo", "--runs", str(count), "--state-dir", str(state_dir), environment={})
    endpoints = Endpoints.load(state_dir)
    with open_store(endpoints.clickhouse()) as store:
        ids = [str(row["run_id"]) for row in store.ask("SELECT run_id FROM runs")]
        return endpoints, list(runs_by_id(store, ids).values())


def exported(endpoints: Endpoints, client: httpx.Client) -> list[dict[str, Any]]:
    """Export all runs, as often as is said above, each time as a new group; what each export says of itself."""
    environment = {**endpoints.environment(), "CAUSELINE_EXPORT_ENDPOINT": str(client.base_url).rstrip("/")}
    groups = (f"interop-phoenix-{number}" for number in range(_TIMES))
    return [causeline("export", "--once", "--group", group, environment=environment) for group in groups]


def wait_for_all(client: httpx.Client, mark_name: str = MARK) -> None:
    """Phoenix answers before it has stored, in the order of arrival: wait until it shows a span sent last.

    A second wait needs another name than the first: what is shown already proves nothing.
    """
    now = time.time_ns()
    mark = Span(
        trace_id=secrets.token_bytes(16),
        span_id=secrets.token_bytes(8),
        name=mark_name,
        start_time_unix_nano=now,
        end_time_unix_nano=now,
    )
    body = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[mark])])])
    headers = {"content-type": "application/x-protobuf"}
    client.post("/v1/traces", content=body.SerializeToString(), headers=headers).raise_for_status()
    asked: dict[str, Any] = {"name": mark_name, "limit": 1}

    def shown() -> bool:
        answer = client.get("/v1/projects/default/spans", params=asked)
        return answer.status_code == 200 and bool(answer.json()["data"])

    wait_until(shown, timeout_s=STEP_TIMEOUT_S, interval_s=1, what="Phoenix does not show the span that was sent last")


def main(arguments: list[str]) -> int:
    """Exit code 0 where Phoenix shows each run once and as it was."""
    parser = argparse.ArgumentParser(prog="python -m interop.phoenix", description=__doc__)
    parser.add_argument("--cache", type=Path, help="where the environment is kept; by default it is not")
    parser.add_argument("--runs", type=int, default=60, help="how many runs the demo publishes")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="causeline-phoenix-") as scratch:
        state_dir, data = Path(scratch) / "state", Path(scratch) / "phoenix-data"
        data.mkdir()
        try:
            binary = install((options.cache or Path(scratch)).resolve())
            with running(binary, data) as client:
                endpoints, runs = demo_runs(state_dir, options.runs)
                exports = exported(endpoints, client)
                wait_for_all(client)
                report = {"phoenix": VERSION, "exports": exports, **compare(runs, spans_at(client))}
        except EnvironmentFault as fault:
            sys.stderr.write(f"{fault} {fault.hint or ''}\n")
            return 1
        except httpx.HTTPError as error:
            sys.stderr.write(f"Phoenix does not answer as its interface says: {error}.\n")
            return 1
        finally:
            down(state_dir)
    sys.stdout.write(f"{json.dumps(report)}\n")
    return 0 if runs and report["differing"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
