"""The recipes of docs/deploying-emitters.md, run as they stand under the real servers: every event is delivered."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from causeline.schemas import wire
from causeline.schemas.registry import Schemas
from causeline.schemas.wire.batch_file import read_batches
from causeline.stack.ports import free_ports
from causeline.stack.waiting import wait_until

PAGE = Path(__file__).parents[3] / "docs" / "deploying-emitters.md"
RECIPES = dict(re.findall(r"<!-- recipe: (\w+) -->\n```\w+\n(.*?)```", PAGE.read_text(), flags=re.DOTALL))
BIN = Path(sys.executable).parent
NEVER_S = "20"
"""So long a batch waits to be full: what is delivered sooner was delivered by an end, or by a flush."""


class Site:
    """A folder with the files of a recipe, and the file that its processes trace into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trace = folder / "trace"
        self.log = folder / "log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CAUSELINE_")}
        own = {
            "CAUSELINE_TRACE_FILE": str(self.trace),
            "CAUSELINE_EMITTER_BATCH_AGE_S": NEVER_S,
            "PYTHONPATH": str(folder),
        }
        self.environment = kept | own

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    @contextmanager
    def running(self, command: Sequence[str | Path]) -> Iterator["subprocess.Popen[bytes]"]:
        """A process, which is told to end afterwards and does."""
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            yield process
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            assert process.wait(40) == 0, self.log.read_text()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def finish(self, command: Sequence[str | Path]) -> str:
        """What a process that ends by itself says."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def said(self, text: str, times: int) -> bool:
        return self.log.read_text().count(text) >= times

    def recorded(self) -> Counter[str]:
        """How many events of each type were delivered, each once."""
        values = read_batches(self.trace) if self.trace.exists() else ()
        events = [
            event for value in values for event in wire.decode_items(wire.read_block(value, "trace-batch", Schemas()))
        ]
        assert len({event["event_id"] for event in events}) == len(events)
        return Counter(str(event["event_type"]) for event in events)


def runs(number: int) -> dict[str, int]:
    return {"run_started": number, "step_finished": number, "run_finished": number}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_process_that_gets_sigterm_delivers_what_it_has(site: Site) -> None:
    script = site.write("script.py", RECIPES["sigterm"])
    with site.running([sys.executable, script]):
        wait_until(lambda: site.said("answered", 5), timeout_s=30, what="five answers")
    answered = site.log.read_text().count("answered")
    assert answered >= 5
    recorded = site.recorded()
    assert recorded["run_finished"] in (answered, answered + 1), "it may be told to end before it says the last answer"


def test_the_children_of_a_pool_that_kills_them_deliver_what_they_have(site: Site) -> None:
    script = site.write("script.py", RECIPES["pool"])
    assert site.finish([sys.executable, "-W", "ignore", script]) == "45\n"
    assert site.recorded() == runs(10)


def test_a_handler_that_is_frozen_for_good_has_delivered(site: Site) -> None:
    site.write("function.py", RECIPES["freeze"])
    script = site.write(
        "runtime.py",
        textwrap.dedent(
            """
            import os, signal
            from function import handler
            for number in range(3):
                assert handler({"number": number}, None) == {"answer": number}
            os.kill(os.getpid(), signal.SIGSTOP)
            """
        ),
    )
    process = subprocess.Popen([sys.executable, script], cwd=site.folder, env=site.environment)
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert site.recorded() == runs(3)
    finally:
        process.kill()
        process.wait()


def ask(port: int, times: int) -> None:
    for _ in range(times):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            assert answer.read() == b"answered\n"


def answers(port: int) -> bool:
    try:
        ask(port, 1)
    except (urllib.error.URLError, ConnectionError):
        return False
    return True


@pytest.mark.parametrize("more", [(), ("--preload", "--max-requests", "3")], ids=["plain", "preload-recycled"])
def test_the_workers_of_gunicorn_deliver_when_they_end(site: Site, more: tuple[str, ...]) -> None:
    site.write("app.py", RECIPES["gunicorn"])
    (port,) = free_ports(1)
    command: list[str | Path] = [
        BIN / "gunicorn",
        "--bind",
        f"127.0.0.1:{port}",
        "--workers",
        "2",
        "--no-control-socket",
        *more,
        "app:app",
    ]
    with site.running(command):
        wait_until(lambda: answers(port), timeout_s=30, what="gunicorn")
        ask(port, 9)
    assert site.recorded() == runs(10)


def test_the_workers_of_uwsgi_deliver_when_they_end(site: Site) -> None:
    site.write("app.py", RECIPES["gunicorn"])
    settings = site.write("uwsgi.ini", RECIPES["uwsgi"])
    (port,) = free_ports(1)
    with site.running([BIN / "uwsgi", "--http-socket", f"127.0.0.1:{port}", "--ini", settings]):
        wait_until(lambda: answers(port), timeout_s=30, what="uWSGI")
        ask(port, 9)
    assert site.recorded() == runs(10)


@pytest.mark.slow
@pytest.mark.parametrize("recycled", [True, False])
def test_the_children_of_celery_deliver_when_they_end(site: Site, recycled: bool) -> None:
    site.write("tasks.py", RECIPES["celery"])
    folders = {name: str(site.folder / "queue") for name in ("data_folder_in", "data_folder_out", "control_folder")}
    (site.folder / "queue").mkdir()
    settings = f"broker_url = 'filesystem://'\nbroker_transport_options = {folders!r}\n"
    site.write("celery_settings.py", settings)
    site.finish([sys.executable, "-c", "import tasks\nfor n in range(8): tasks.answer.delay(n)"])
    own = ["--max-tasks-per-child", "1"] if recycled else []
    command: list[str | Path] = [
        BIN / "celery",
        "--app",
        "tasks",
        "worker",
        "--concurrency",
        "2",
        "--loglevel",
        "INFO",
        *own,
    ]
    with site.running(command):
        wait_until(lambda: site.said("succeeded in", 8), timeout_s=60, what="eight tasks")
    assert site.recorded() == runs(8)


def test_greenlets_deliver(site: Site) -> None:
    script = site.write("script.py", RECIPES["gevent"])
    assert site.finish([sys.executable, script]) == "answered\n"
    assert site.recorded() == runs(10)


def test_greenlets_go_on_while_the_broker_is_away(site: Site) -> None:
    script = site.write(
        "script.py",
        textwrap.dedent(
            """
            from gevent import monkey
            monkey.patch_all()
            import time
            import gevent
            from causeline import Tracer

            tracer = Tracer(project="shop")
            longest_s = 0.0
            with tracer.run("answer"):
                pass
            while not tracer.stats().last_error:
                before = time.monotonic()
                gevent.sleep(0.01)
                longest_s = max(longest_s, time.monotonic() - before)
            assert longest_s < 0.7, f"every greenlet stood still for {longest_s} s"
            assert tracer.close(0).events == 2
            """
        ),
    )
    del site.environment["CAUSELINE_TRACE_FILE"]
    site.environment["CAUSELINE_KAFKA_BOOTSTRAP_SERVERS"] = f"127.0.0.1:{free_ports(1)[0]}"
    site.environment["CAUSELINE_EMITTER_BATCH_AGE_S"] = "0.05"
    done = subprocess.run(
        [sys.executable, script], cwd=site.folder, env=site.environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
