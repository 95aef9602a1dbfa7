"""Services as data: order, refusals, and the real stack's own list."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from causeline.schemas.errors import UsageError
from causeline.stack.layout import choose_ports, endpoints_for
from causeline.stack.services import Ports, stack_services
from causeline.stack.settings import StackSettings
from causeline.stack.supervisor import Plan, Service
from causeline.stack.supervisor.service import in_levels

PORTS = Ports(kafka=1001, kafka_controller=1002, clickhouse=1003, console=1004, otlp=1005, otlp_grpc=1006)


def service(name: str, *depends: str) -> Service:
    return Service(name=name, argv=("true",), depends=depends)


def names(levels: list[list[Service]]) -> list[list[str]]:
    return [[each.name for each in level] for level in levels]


def test_levels_hold_what_may_start_side_by_side() -> None:
    services = [service("d", "b", "c"), service("a"), service("b", "a"), service("c", "a"), service("e")]
    assert names(in_levels(services)) == [["a", "e"], ["b", "c"], ["d"]]


@pytest.mark.parametrize(
    ("services", "sentence"),
    [
        ([service("a", "b"), service("b", "a")], "a, b wait for each other"),
        ([service("a", "z")], "a depends on z, which is not a service"),
        ([service("a"), service("a")], "two services have one name"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(services: list[Service], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Plan(services=tuple(services))


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    settings = StackSettings(state_dir=tmp_path, workers=2)
    plan = Plan(services=stack_services(settings, endpoints_for(settings, tmp_path, PORTS), PORTS))
    file = tmp_path / "plan.json"
    file.write_text(plan.model_dump_json())
    assert Plan.load(file) == plan
    file.write_text("{}")
    with pytest.raises(UsageError, match="is not a plan"):
        Plan.load(file)


def test_the_stack_starts_broker_and_engine_side_by_side_and_set_up_before_workers(tmp_path: Path) -> None:
    settings = StackSettings(state_dir=tmp_path, workers=2, loaders=2)
    levels = names(in_levels(stack_services(settings, endpoints_for(settings, tmp_path, PORTS), PORTS)))
    assert levels == [
        ["kafka", "clickhouse"],
        ["topics", "migrate", "serve"],
        ["worker-1", "worker-2", "load-1", "load-2", "amend", "diagnose", "watch", "receive"],
    ]


def test_no_password_stands_in_the_plan(tmp_path: Path) -> None:
    settings = StackSettings(state_dir=tmp_path)
    endpoints = endpoints_for(settings, tmp_path, PORTS)
    plan = Plan(services=stack_services(settings, endpoints, PORTS)).model_dump_json()
    assert endpoints.clickhouse_password_file.read_text() not in plan
    assert str(endpoints.clickhouse_password_file) in plan


def test_chosen_ports_are_different_and_come_back(tmp_path: Path) -> None:
    settings = StackSettings(state_dir=tmp_path)
    ports = choose_ports(settings, tmp_path, running=False)
    assert len({ports.kafka, ports.kafka_controller, ports.clickhouse, ports.console}) == 4
    assert choose_ports(settings, tmp_path, running=False) == ports


def test_a_torn_file_of_ports_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text('{"kafka": 1')
    assert choose_ports(StackSettings(state_dir=tmp_path), tmp_path, running=False).kafka > 0


def test_settings_come_from_the_environment_and_a_bad_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSELINE_WORKERS", "3")
    monkeypatch.setenv("CAUSELINE_STATE_DIR", "/somewhere")
    assert StackSettings.from_environment(loaders=2) == StackSettings(
        workers=3, loaders=2, state_dir=Path("/somewhere")
    )
    monkeypatch.setenv("CAUSELINE_KAFKA_PORT", "70000")
    with pytest.raises(UsageError, match=r"^CAUSELINE_KAFKA_PORT: "):
        StackSettings.from_environment()
