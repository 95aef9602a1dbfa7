"""What the fault tests share: a seed that is always told, figures that are printed at the end, broker and engine."""

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from xdist.workermanage import WorkerController

from causeline.demo.publish import demo_policy_text
from causeline.stack.endpoints import Endpoints
from causeline.stack.local import down, up
from causeline.stack.ports import free_ports
from causeline.stack.services import Ports, clickhouse_service, kafka_service
from causeline.stack.settings import StackSettings
from causeline.stack.supervisor import Service
from tests.faults.proxy import Proxy
from tests.faults.site import Site

LONG_SEEDS = 3
ROOT = Path(__file__).parents[2]
_SEEDS = pytest.StashKey[list[int]]()
_FIGURES = pytest.StashKey[list[str]]()
_DRAWN = "fault_seeds"
_FIGURE = "figure"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--long`: three seeds instead of one, and the soak."""
    parser.addoption("--long", action="store_true", help="three seeds for each fault, and the soak")


def pytest_configure(config: pytest.Config) -> None:
    """Draw the seeds of this session, or take the one that is asked for."""
    asked = os.environ.get("CAUSELINE_FAULTS_SEED")
    count = LONG_SEEDS if config.getoption("--long") else 1
    drawn = getattr(config, "workerinput", {}).get(_DRAWN)  # in a process of xdist: what its controller drew
    seeds: list[int] = drawn or ([int(asked)] if asked else [secrets.randbelow(1_000_000) for _ in range(count)])
    config.stash[_SEEDS] = seeds
    config.stash[_FIGURES] = []
    config.addinivalue_line("markers", "soak: takes half an hour, and runs with --long only")
    config.pluginmanager.register(_Figures(config))


class _Figures:
    """Takes what a test told, in whichever process it ran."""

    def __init__(self, config: pytest.Config) -> None:
        self._figures = config.stash[_FIGURES]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            name = report.nodeid.rpartition("::")[2]
            self._figures += [f"{name}: {said}" for key, said in report.user_properties if key == _FIGURE]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Processes of xdist have the seeds of the one that starts them: they must agree on which tests there are."""
    node.workerinput[_DRAWN] = node.config.stash[_SEEDS]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the soak out unless it is asked for."""
    if not config.getoption("--long"):
        left_out = [item for item in items if item.get_closest_marker("soak")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def pytest_report_header(config: pytest.Config) -> str:
    """The seeds, whatever is captured later."""
    seeds: list[int] = config.stash[_SEEDS]
    return f"faults: seeds {', '.join(map(str, seeds))}; CAUSELINE_FAULTS_SEED=<n> repeats one"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `seed` runs once for each."""
    if "seed" in metafunc.fixturenames:
        is_soak = any(mark.name == "soak" for mark in metafunc.definition.iter_markers())
        seeds = metafunc.config.stash[_SEEDS][: 1 if is_soak else None]
        metafunc.parametrize("seed", seeds, ids=[f"seed={seed}" for seed in seeds])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The figures that the tests told, in their order."""
    if config.stash[_FIGURES]:
        terminalreporter.section("figures")
        for line in config.stash[_FIGURES]:
            terminalreporter.write_line(line)


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Keeps a sentence for the end of the session, under the name of the test."""

    def keep(line: str) -> None:
        record_property(_FIGURE, line)

    return keep


@pytest.fixture(scope="session")
def broker_proxy() -> Iterator[Proxy]:
    """Where clients of the broker come by that are to have trouble with it."""
    (target,) = free_ports(1)
    with Proxy(target) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def infra(broker_proxy: Proxy) -> Iterator[Endpoints]:
    """Broker and engine, and nothing of ours."""

    def only_infra(settings: StackSettings, endpoints: Endpoints, ports: Ports) -> tuple[Service, ...]:
        kafka = kafka_service(settings, endpoints, ports)
        listener = (str(broker_proxy.target), str(broker_proxy.port))
        argv = (kafka.argv[0], "-m", "tests.faults.proxied_broker", *listener, *kafka.argv[3:])
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        return kafka.model_copy(update={"argv": argv, "env": {"PYTHONPATH": path}}), clickhouse_service(
            endpoints, ports
        )

    endpoints = up(StackSettings(ephemeral=True), services_of=only_infra, policy=demo_policy_text())
    yield endpoints
    down(endpoints.state_dir)


@pytest.fixture
def clickhouse_proxy(infra: Endpoints) -> Iterator[Proxy]:
    """Where clients of the engine come by that are to have trouble with it."""
    with Proxy(infra.clickhouse().port) as proxy:
        yield proxy


@pytest.fixture
def bad_broker(broker_proxy: Proxy) -> Iterator[Proxy]:
    """The broker's proxy, sound again afterwards."""
    yield broker_proxy
    broker_proxy.heal()


@pytest.fixture
def site(infra: Endpoints, tmp_path: Path, seed: int) -> Site:
    """Topics, tables and processes of a test's own."""
    return Site(infra, tmp_path, seed)
