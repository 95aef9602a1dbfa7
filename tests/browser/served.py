"""Consoles beside the stack's own: over records that are made up, and below a proxy's path."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import SecretStr

from causeline.console.answers import Record
from causeline.producers.artifacts import ArtifactStore
from causeline.schemas import catalogue
from causeline.schemas.run import Run
from causeline.schemas.tables import RUNS, record_schema
from causeline.web.app import create_app
from causeline.web.health import Health
from causeline.web.settings import ServeSettings
from causeline.web.stores import Stores

TOKEN = "a-token-for-tests"
KEEP_ALIVE_S = 600
"""Longer than any client keeps a connection: one that closes as it is asked looks like an answer that never comes."""


class FixedStores(Stores):
    """The stores of a console that holds exactly these runs, and counts what it is asked."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = {run.run_id: run for run in runs}
        self.asked: list[str] = []
        schema = record_schema(catalogue.latest(RUNS.subject))
        self._texts = {run.run_id: json.dumps(_values(asdict(run), schema)) for run in runs}

    def store(self) -> "FixedStores":  # type: ignore[override]
        """Itself."""
        return self

    def ask(self, sql: str, parameters: Mapping[str, object] | None = None, *, is_small: bool = False) -> list[Record]:
        """A run by its id, whether it stands as it did, and nothing else."""
        found = self.runs.get(str((parameters or {}).get("run_id", "")))
        if "AS closed_us" in sql:  # by a page that follows, however long it is open
            return [{"revision": found.revision, "closed_us": 0}] if found else []
        self.asked.append(sql)
        if "FROM run_texts" in sql and found is not None:
            is_known = (parameters or {}).get("known") == found.run_id
            return [{"digest": found.run_id, "text": "" if is_known else self._texts[found.run_id]}]
        if sql.startswith("SELECT * FROM runs WHERE run_id = ") and found is not None:
            return [asdict(found)]
        return []


def _values(value: Any, avro: Any) -> Any:
    """As a run's text has them: records as values without names, in the order of the schema."""
    if isinstance(avro, list):
        avro = next(each for each in avro if each != "null")
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ")
    if value is None or not isinstance(avro, dict):
        return value
    if avro["type"] == "array":
        return [_values(each, avro["items"]) for each in value]
    if avro["type"] == "record":
        return [_values(value.get(field["name"]), field["type"]) for field in avro["fields"]]
    return value


@contextmanager
def console_of(stores: Stores, artifacts: Path, *, root_path: str = "") -> Iterator[str]:
    """The address of a console over these stores, while the block lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = ServeSettings(token=SecretStr(TOKEN), free_reading=True, root_path=root_path)
        app = create_app(settings, Health({}), stores=stores, open_artifacts=lambda: ArtifactStore.open(artifacts))
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_keep_alive=KEEP_ALIVE_S)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


@contextmanager
def behind(prefix: str, port: int) -> Iterator[str]:
    """The address of a proxy that serves the console of a port below `prefix`, and takes the prefix off."""

    class Proxy(BaseHTTPRequestHandler):
        def _pass(self) -> None:
            if not self.path.startswith(prefix + "/"):
                self.send_error(404, "not of the console")
                return
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            inner = HTTPConnection("127.0.0.1", port, timeout=60)
            inner.request(self.command, self.path.removeprefix(prefix), body, dict(self.headers.items()))
            answer = inner.getresponse()
            data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            inner.close()

        do_GET: Callable[..., None] = _pass  # noqa: N815 - the name that http.server calls
        do_POST: Callable[..., None] = _pass  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}{prefix}"
        server.shutdown()
