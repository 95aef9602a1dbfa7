"""The supervisor with real, small child processes: readiness, restarts, giving up, an orderly end, take-over."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from causeline.stack.ports import free_ports
from causeline.stack.supervisor import (
    HttpProbe,
    LogLineProbe,
    Plan,
    ProcessId,
    Service,
    ServiceReport,
    ServiceState,
    SupervisorReport,
    TcpProbe,
)
from causeline.stack.supervisor.daemon import is_running
from causeline.stack.supervisor.processes import MARK_VARIABLE, end, identify, is_alive, left_over, mark_of
from causeline.stack.supervisor.state import LOGS_DIR, PLAN_FILE, write_private
from causeline.stack.waiting import wait_until

TIMEOUT_S = 20.0

# Each says what happens to it in a file all of them share, in the order in which it happens.
TELL = """
import os, signal, sys, time
def tell(word):
    with open(os.environ["JOURNAL"], "a") as file:
        file.write(f"{os.environ['NAME']} {word}\\n")
def leave(*_):
    tell("stopped")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
tell("started")
"""
STAYS = TELL + "print('now ready', flush=True)\nwhile True: signal.pause()\n"
FAILS = TELL + "print('cannot open the vault', flush=True)\nsys.exit(1)\n"
UNMENDABLE = TELL + "print('error: port 1 is in use', flush=True)\nsys.exit(4)\n"
ENDS_WELL = TELL + "tell('done')\n"
FAILS_TWICE = TELL + (
    "from pathlib import Path\n"
    "starts = Path(os.environ['JOURNAL']).read_text().count(os.environ['NAME'] + ' started')\n"
    "if starts < 3: sys.exit(1)\n"
    "print('now ready', flush=True)\nwhile True: signal.pause()\n"
)
IGNORES_SIGTERM = TELL + (
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('now ready', flush=True)\nwhile True: signal.pause()\n"
)
WITH_A_CHILD = TELL + (
    "import subprocess\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
    "tell(f'child={child.pid}')\nprint('now ready', flush=True)\nwhile True: signal.pause()\n"
)
LISTENS = TELL + (
    "import http.server\n"
    "class Page(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200); self.end_headers(); self.wfile.write(b'Ok.\\n')\n"
    "http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), Page).serve_forever()\n"
)


@dataclass
class Stack:
    """A state folder with a plan, and the supervisor that runs it."""

    folder: Path
    supervisor: subprocess.Popen[bytes] | None = None

    @property
    def journal(self) -> list[str]:
        file = self.folder / "journal"
        return file.read_text().splitlines() if file.exists() else []

    def service(self, name: str, program: str, *depends: str, **more: object) -> Service:
        fields: dict[str, object] = {
            "name": name,
            "argv": (sys.executable, "-c", program),
            "env": {"JOURNAL": str(self.folder / "journal"), "NAME": name},
            "ready": LogLineProbe(pattern="now ready"),
            "depends": depends,
            "stop_timeout_s": 5,
        }
        return Service.model_validate(fields | more)

    def plan(self, *services: Service, owner: ProcessId | None = None, ephemeral: bool = False) -> None:
        plan = Plan(services=services, owner=owner, ephemeral=ephemeral)
        write_private(self.folder / PLAN_FILE, plan.model_dump_json())

    def start(self) -> None:
        command = [sys.executable, "-m", "causeline.stack.supervisor", str(self.folder), "--foreground"]
        with (self.folder / "supervisor.out").open("ab") as output:
            self.supervisor = subprocess.Popen(command, stderr=output)

    def report(self) -> SupervisorReport | None:
        return SupervisorReport.load(self.folder)

    def of(self, name: str) -> ServiceReport:
        report = self.report()
        assert report is not None
        return next(each for each in report.services if each.name == name)

    def until(self, condition: Callable[[SupervisorReport], bool]) -> SupervisorReport:
        def holds() -> SupervisorReport | None:
            report = self.report()
            return report if report and condition(report) else None

        return wait_until(holds, timeout_s=TIMEOUT_S, what=f"state {self.report()!r}")

    def until_state(self, name: str, state: ServiceState) -> ServiceReport:
        self.until(lambda report: any(each.name == name and each.state is state for each in report.services))
        return self.of(name)

    def until_ready(self) -> SupervisorReport:
        return self.until(lambda report: report.ready)

    def signal(self, number: signal.Signals) -> int:
        assert self.supervisor is not None
        self.supervisor.send_signal(number)
        return self.supervisor.wait(TIMEOUT_S)

    def living(self) -> list[ProcessId]:
        report = self.report()
        return [p for each in report.services if (p := each.process) and is_alive(p)] if report else []


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    folder = tmp_path / "state"
    (folder / LOGS_DIR).mkdir(parents=True)
    stack = Stack(folder)
    yield stack
    if stack.supervisor and stack.supervisor.poll() is None:
        stack.supervisor.kill()
        stack.supervisor.wait()
    end(left_over(folder), grace_s=0)


def test_services_start_in_order_and_stop_in_reverse(stack: Stack) -> None:
    stack.plan(
        stack.service("console", STAYS, "worker"),
        stack.service("worker", STAYS, "topics"),
        stack.service("topics", ENDS_WELL, "broker", oneshot=True),
        stack.service("broker", STAYS),
    )
    stack.start()
    report = stack.until_ready()
    assert {each.name: each.state.value for each in report.services} == {
        "broker": "ready",
        "topics": "done",
        "worker": "ready",
        "console": "ready",
    }
    assert stack.signal(signal.SIGTERM) == 0
    assert stack.journal == [
        "broker started",
        "topics started",
        "topics done",
        "worker started",
        "console started",
        "console stopped",
        "worker stopped",
        "broker stopped",
    ]
    assert [each.process for each in (stack.report() or report).services] == [None] * 4


def test_ready_is_what_the_probe_answers(stack: Stack) -> None:
    web, raw = free_ports(2)
    stack.plan(
        stack.service("web", LISTENS, ready=HttpProbe(url=f"http://127.0.0.1:{web}/ping", body="Ok.")).model_copy(
            update={"env": {"PORT": str(web), "JOURNAL": str(stack.folder / "journal"), "NAME": "web"}}
        ),
        stack.service("raw", LISTENS, ready=TcpProbe(port=raw), ports={"http": raw}).model_copy(
            update={"env": {"PORT": str(raw), "JOURNAL": str(stack.folder / "journal"), "NAME": "raw"}}
        ),
    )
    stack.start()
    stack.until_ready()
    assert stack.of("raw").ports == {"http": raw}


def test_a_killed_service_comes_back_and_the_others_do_not_notice(stack: Stack) -> None:
    stack.plan(stack.service("broker", STAYS), stack.service("worker", STAYS, "broker"))
    stack.start()
    stack.until_ready()
    before = {name: stack.of(name).process for name in ("broker", "worker")}
    assert before["broker"] is not None
    os.kill(before["broker"].pid, signal.SIGKILL)
    stack.until(lambda report: report.services[0].restarts == 1 and report.ready)
    assert stack.of("broker").process != before["broker"]
    assert stack.of("worker").process == before["worker"]


def test_a_service_that_fails_at_first_is_tried_again(stack: Stack) -> None:
    stack.plan(stack.service("shaky", FAILS_TWICE))
    stack.start()
    stack.until_ready()
    assert stack.of("shaky").restarts == 2


def test_a_service_that_keeps_failing_is_given_up_with_its_last_words(stack: Stack) -> None:
    stack.plan(stack.service("vault", FAILS), stack.service("guest", STAYS, "vault"), stack.service("other", STAYS))
    stack.start()
    report = stack.until_state("vault", ServiceState.FAILED)
    assert report.reason == "failed 4 times within 180 s"
    assert report.last_lines == ["cannot open the vault"]
    assert stack.of("guest").state is ServiceState.WAITING
    assert stack.until_state("other", ServiceState.READY)
    assert "vault ended with exit code 1 and is given up" in (stack.folder / "supervisor.out").read_text()


def test_a_fault_of_the_machine_is_not_tried_again(stack: Stack) -> None:
    stack.plan(stack.service("vault", UNMENDABLE))
    stack.start()
    report = stack.until_state("vault", ServiceState.FAILED)
    assert report.restarts == 0
    assert report.last_lines == ["error: port 1 is in use"]


def test_what_was_given_up_and_what_changed_start_anew_on_sighup(stack: Stack) -> None:
    stack.plan(
        stack.service("vault", UNMENDABLE),
        stack.service("guest", STAYS, "vault"),
        stack.service("stays", STAYS),
        stack.service("goes", STAYS),
    )
    stack.start()
    stack.until_state("vault", ServiceState.FAILED)
    stack.until_state("stays", ServiceState.READY)
    stack.until_state("goes", ServiceState.READY)
    same = stack.of("stays").process
    stack.plan(stack.service("vault", STAYS), stack.service("guest", STAYS, "vault"), stack.service("stays", STAYS))
    assert stack.supervisor is not None
    stack.supervisor.send_signal(signal.SIGHUP)
    report = stack.until(lambda report: report.generation == 2 and report.ready)
    assert {each.name for each in report.services} == {"vault", "guest", "stays"}
    assert stack.of("stays").process == same


def test_a_service_deaf_to_sigterm_is_killed_with_its_children(stack: Stack) -> None:
    stack.plan(
        stack.service("deaf", IGNORES_SIGTERM, stop_timeout_s=0.2),
        stack.service("parent", WITH_A_CHILD),
    )
    stack.start()
    stack.until_ready()
    child = next(line.rpartition("=")[2] for line in stack.journal if "child=" in line)
    processes = [*stack.living(), identify(int(child))]
    assert len(processes) == 3
    assert stack.signal(signal.SIGTERM) == 0
    assert not [each for each in processes if each and is_alive(each)]


def test_killing_the_supervisor_leaves_nothing_behind(stack: Stack) -> None:
    stack.plan(stack.service("broker", STAYS), stack.service("deaf", IGNORES_SIGTERM))
    stack.start()
    stack.until_ready()
    processes = stack.living()
    assert len(processes) == 2
    stack.signal(signal.SIGKILL)
    wait_until(lambda: not [each for each in processes if is_alive(each)], timeout_s=TIMEOUT_S, what="children live on")
    assert not is_running(stack.folder)


def test_the_next_supervisor_ends_an_orphan_that_carries_the_mark_and_no_other(stack: Stack) -> None:
    sleeper = [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"]
    marked = {**os.environ, MARK_VARIABLE: mark_of(stack.folder)}
    elsewhere = {**os.environ, MARK_VARIABLE: mark_of(stack.folder.parent)}
    with (
        subprocess.Popen(sleeper, env=marked, stdout=subprocess.PIPE) as orphan,
        subprocess.Popen(sleeper, env=elsewhere, stdout=subprocess.PIPE) as stranger,
    ):
        for process in (orphan, stranger):
            assert process.stdout is not None
            process.stdout.readline()
        try:
            stack.plan(stack.service("broker", STAYS))
            stack.start()
            stack.until_ready()
            assert orphan.wait(TIMEOUT_S) == -signal.SIGTERM
            assert stranger.poll() is None
        finally:
            orphan.kill()
            stranger.kill()


def test_a_second_supervisor_is_refused(stack: Stack) -> None:
    stack.plan(stack.service("broker", STAYS))
    stack.start()
    stack.until_ready()
    command = [sys.executable, "-m", "causeline.stack.supervisor", str(stack.folder), "--foreground"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert second.returncode == 4
    assert f"A supervisor already runs in {stack.folder}." in second.stderr
    assert stack.journal == ["broker started"]


def test_an_ephemeral_stack_ends_with_its_owner_and_takes_its_folder_along(stack: Stack) -> None:
    owner = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        stack.plan(stack.service("broker", STAYS), owner=identify(owner.pid), ephemeral=True)
        stack.start()
        stack.until_ready()
        processes = stack.living()
    finally:
        owner.kill()
        owner.wait()
    assert stack.supervisor is not None
    assert stack.supervisor.wait(TIMEOUT_S) == 0
    assert not [each for each in processes if is_alive(each)]
    assert not stack.folder.exists()


def test_the_state_and_the_logs_are_there_to_be_read(stack: Stack) -> None:
    stack.plan(stack.service("broker", STAYS))
    stack.start()
    stack.until_ready()
    state = json.loads((stack.folder / "supervisor.json").read_text())
    assert state["services"][0]["process"]["pid"] == stack.living()[0].pid
    assert (stack.folder / "supervisor.json").stat().st_mode & 0o777 == 0o600
    assert (stack.folder / LOGS_DIR / "broker.log").read_text() == "now ready\n"
