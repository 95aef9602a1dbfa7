"""The process's side of emitters: its forks and its end, and the ends of children that run no `atexit`.

`multiprocessing` ends its children by `os._exit` once its own finalisers have run. It forgets the finalisers that a
child has from its parent, and then runs what was registered for after the fork: so ours are registered there.
Celery's `billiard` does the same, but the children of its pool tell Celery's signal `worker_process_shutdown`. None of
these modules is imported here: who has such children has imported it.
"""

import atexit
import os
import sys
from types import ModuleType
from typing import Final, Protocol
from weakref import WeakSet

_LAST: Final = -100
"""Priority of our finaliser: after those of the queues by which a child gives its results away."""
_FORKING: Final = ("multiprocessing", "billiard")


class Emitting(Protocol):
    """What is told of forks and of the process's end."""

    def before_fork(self) -> None:
        """The process is about to fork."""

    def after_fork(self) -> None:
        """In the child: what the parent has gathered is the parent's to deliver."""

    def flush(self) -> object:
        """Wait until all is delivered, for as long as the settings say."""

    def close(self) -> object:
        """Flush, unless that was done before, and stop."""


class _Hook:
    """What the finalisers hang on: as long as it is there they are."""


_living: WeakSet[Emitting] = WeakSet()
_hook = _Hook()
_hooked: set[str] = set()


def watch(emitter: Emitting) -> None:
    """Tell an emitter of forks and of the end, for as long as anybody has it."""
    _living.add(emitter)
    _hook_into_children()


def _hook_into_children() -> None:
    for name in _FORKING:
        util = sys.modules.get(f"{name}.util")
        if util is None:
            continue
        if name not in _hooked:
            _hooked.add(name)
            util.register_after_fork(_hook, lambda _, util=util: _close_at_end(util))
        current = sys.modules[f"{name}.process"].current_process()
        if type(current).__name__ != "_MainProcess":
            _close_at_end(util)
    _hook_into_celery()


def _hook_into_celery() -> None:
    signals = sys.modules.get("celery.signals")
    if signals is not None and "celery" not in _hooked:
        _hooked.add("celery")
        signals.worker_process_shutdown.connect(_when_celerys_child_ends, weak=False)


def _when_celerys_child_ends(**_: object) -> None:
    _close_all()


def _close_at_end(util: ModuleType) -> None:
    util.Finalize(None, _close_all, exitpriority=_LAST)


def _before_fork() -> None:
    for emitter in list(_living):
        emitter.before_fork()


def _after_fork() -> None:
    for emitter in list(_living):
        emitter.after_fork()
    if _living:
        _hook_into_children()


def _close_all() -> None:
    for emitter in list(_living):
        try:
            emitter.close()
        except SystemExit:  # told to end while it ends: a pool tells its children twice
            emitter.flush()
            emitter.close()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
atexit.register(_close_all)
