"""What every test may rely on: the settings of one test, or of the shell it runs in, are none of another's."""

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer

from causeline.producers import context
from causeline.producers.emitter.shared import SHARED
from tests.distribution import NOTHING, ByServices, end_between, services_of

# A property is no measure of time: on a loaded machine an example, or the making of one, may take long.
settings.register_profile("causeline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("causeline")

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGPIPE, signal.SIGCHLD)
_SERVICES = pytest.StashKey[dict[pytest.FixtureDef[object], None]]()
"""What was made once a session for the tests before."""
_OF_THE_TESTS = ("CAUSELINE_TEST_", "CAUSELINE_FAULTS_", "CAUSELINE_CACHE_")


@pytest.fixture(autouse=True)
def own_settings() -> Iterator[None]:
    """Each test begins without `CAUSELINE_…` variables or a terminal's width, and leaves the environment as it was.

    Those that choose what is tested (`CAUSELINE_TEST_…`, `CAUSELINE_FAULTS_…`, `CAUSELINE_CACHE_DIR`) stay.
    """
    before = dict(os.environ)
    for name in before:
        own = name.startswith("CAUSELINE_") and not name.startswith(_OF_THE_TESTS)
        if own or name == "COLUMNS":
            del os.environ[name]
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """What a test does to the logging of the process ends with it: a command that starts logging writes to stderr."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture(autouse=True)
def own_process() -> Iterator[None]:
    """What a test does to the rest of its process ends with it, as far as anything in Causeline touches that.

    Handlers of signals, hooks for exceptions, the working folder, how often garbage is looked for, the run that is the
    current one, and the emitter that tracers of one environment share.
    """
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    hooks, thread_hook, folder, thresholds = sys.excepthook, threading.excepthook, Path.cwd(), gc.get_threshold()
    yield
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)
    sys.excepthook, threading.excepthook = hooks, thread_hook
    os.chdir(folder)
    gc.set_threshold(*thresholds)
    context.make_current((None, None))
    with SHARED.lock:
        SHARED._shared.clear()


def _services_of(item: pytest.Item) -> str:
    return services_of(item.nodeid.split("::", 1)[0])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that stand on the same services follow each other."""
    items.sort(key=_services_of)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Services that the next file does not stand on end: a stack that idles takes CPU from the others."""
    yield
    used = item.session.stash.setdefault(_SERVICES, {})
    used |= dict.fromkeys(_session_fixtures(item))
    if end_between(_services_of(item), NOTHING if nextitem is None else _services_of(nextitem)):
        while used:
            used.popitem()[0].finish(item._request)  # type: ignore[attr-defined]


def _session_fixtures(item: pytest.Item) -> list[pytest.FixtureDef[object]]:
    """What the tests themselves make once a session and `item` is given."""
    if not isinstance(item, pytest.Function):
        return []
    used = [found[-1] for name, found in item._fixtureinfo.name2fixturedefs.items() if name in item.fixturenames]
    return [each for each in used if each.scope == "session" and each.baseid.startswith("tests/")]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByServices:
    """Parallel sessions (`pytest -n`) go by what files stand on."""
    return ByServices(config, log)
