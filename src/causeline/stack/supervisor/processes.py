"""Processes of a stack, found again after their supervisor is gone, and ended for certain.

A process belongs to a stack when its environment carries that stack's mark: the mark is set by the supervisor on
its own children alone, and inherited by theirs. A number in a file or a program's name never suffices.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from causeline.stack.supervisor.service import ProcessId
from causeline.stack.waiting import wait_until

MARK_VARIABLE = "CAUSELINE_STACK_ID"
_START_TOLERANCE_S = 2.0  # start times are told relative to the boot, which moves when the clock is set
_END_TIMEOUT_S = 10.0


def identify(pid: int) -> ProcessId | None:
    """The process that now has the number `pid`, or None."""
    try:
        return ProcessId(pid=pid, started=psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def is_alive(process: ProcessId) -> bool:
    """Whether this very process still runs; one that has ended and waits to be reaped does not."""
    try:
        found = psutil.Process(process.pid)
        same = abs(found.create_time() - process.started) < _START_TOLERANCE_S
        return same and found.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def mark_of(folder: Path) -> str:
    """The value that marks the processes of the stack in `folder`."""
    return str(folder.resolve())


def left_over(folder: Path) -> list[ProcessId]:
    """Living processes that carry the mark of the stack in `folder`, other than the caller and its ancestors."""
    mark = mark_of(folder)
    own = {os.getpid(), *(each.pid for each in psutil.Process().parents())}
    return [process for process in _marked(mark) if process.pid not in own]


def _marked(mark: str) -> Iterator[ProcessId]:
    for process in psutil.process_iter():
        try:
            if process.uids().real != os.getuid() or process.environ().get(MARK_VARIABLE) != mark:
                continue
            yield ProcessId(pid=process.pid, started=process.create_time())
        except (psutil.Error, OSError):
            continue  # ended meanwhile, or not ours to look at


def end(processes: list[ProcessId], *, grace_s: float) -> None:
    """Ask each to stop, and kill what still runs after `grace_s`."""
    for process in processes:
        send(process, signal.SIGTERM)
    _wait_for_ends(processes, grace_s, insist=False)
    remaining = [each for each in processes if is_alive(each)]
    for process in remaining:
        send(process, signal.SIGKILL)
    _wait_for_ends(remaining, _END_TIMEOUT_S, insist=True)


def send(process: ProcessId, number: signal.Signals) -> bool:
    """Signal this very process; False when it has ended already."""
    try:
        if not is_alive(process):
            return False
        os.kill(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _wait_for_ends(processes: list[ProcessId], timeout_s: float, *, insist: bool) -> None:
    names = ", ".join(str(each.pid) for each in processes)
    deadline = time.monotonic() + timeout_s
    wait_until(
        lambda: not any(map(is_alive, processes)) or (not insist and time.monotonic() >= deadline),
        timeout_s=timeout_s + 1,
        what=f"processes {names} do not end",
    )
