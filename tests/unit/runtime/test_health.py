"""A part tells over HTTP how it is: well, or in one sentence why not."""

import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Counter

from causeline.runtime.health import HealthSettings, Pulse, health_port
from causeline.schemas.errors import EnvironmentFault, UsageError


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def get(port: int | None, path: str, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    Counter("rows", "Rows stored.", registry=made).inc(7)
    return made


def test_a_loop_that_never_turned_is_not_consuming() -> None:
    assert Pulse("loader", 60, Time()).complaint() == "The loader is not consuming yet."


def test_a_loop_without_work_is_well_while_it_turns() -> None:
    time = Time()
    pulse = Pulse("loader", 60, time)
    for _ in range(10):
        time.now += 59
        pulse.beat(busy=False)
        assert pulse.complaint() is None
    time.now += 61
    assert pulse.complaint() == "The loader has stood still for 61 s."


def test_a_loop_with_work_must_get_something_done() -> None:
    time = Time()
    pulse = Pulse("loader", 60, time)
    pulse.beat(busy=True)
    pulse.hindered("READONLY")
    time.now += 61
    pulse.beat(busy=True)
    assert pulse.complaint() == "The loader has work and got nothing of it done for 61 s (READONLY)."
    pulse.done()
    pulse.beat(busy=True)
    assert pulse.complaint() is None
    time.now += 61
    pulse.beat(busy=True)
    assert pulse.complaint() == "The loader has work and got nothing of it done for 61 s."


def test_work_that_went_away_is_no_reason_to_complain() -> None:
    time = Time()
    pulse = Pulse("loader", 60, time)
    pulse.beat(busy=True)
    time.now += 50
    pulse.beat(busy=False)
    time.now += 50
    pulse.beat(busy=True)
    assert pulse.complaint() is None


def test_it_is_served_while_the_block_runs() -> None:
    complaint: list[str | None] = [None]
    with health_port(HealthSettings(port=0), registry(), lambda: complaint[0]) as port:
        assert get(port, "/healthz") == (200, "ok\n")
        complaint[0] = "It stands still."
        assert get(port, "/healthz") == (503, "It stands still.\n")
        status, text = get(port, "/metrics?name=x")
        assert (status, "rows_total 7.0" in text) == (200, True)
        assert get(port, "/")[0] == 404
    with pytest.raises(urllib.error.URLError):
        get(port, "/healthz")


def test_metrics_ask_for_the_token_and_health_does_not() -> None:
    settings = HealthSettings.from_environment({"CAUSELINE_HEALTH_PORT": "0", "CAUSELINE_HEALTH_TOKEN": "s3cret"})
    with health_port(settings, registry(), lambda: None) as port:
        assert get(port, "/metrics")[0] == 401
        assert get(port, "/metrics", Authorization="Bearer wrong")[0] == 401
        assert get(port, "/metrics", Authorization="Bearer s3cret")[0] == 200
        assert get(port, "/healthz")[0] == 200


def test_it_is_off_unless_a_port_is_named() -> None:
    with health_port(HealthSettings.from_environment({}), registry(), lambda: None) as port:
        assert port is None


@pytest.mark.parametrize("host", ["0.0.0.0", "metrics.example"])  # noqa: S104 - what must be refused
def test_other_machines_are_let_in_by_token_only(host: str) -> None:
    environment = {"CAUSELINE_HEALTH_PORT": "9100", "CAUSELINE_HEALTH_HOST": host}
    with pytest.raises(UsageError, match="token"):
        HealthSettings.from_environment(environment)
    assert HealthSettings.from_environment({**environment, "CAUSELINE_HEALTH_TOKEN": "x"}).host == host


def test_a_port_that_is_taken_is_named() -> None:
    with (
        health_port(HealthSettings(port=0), registry(), lambda: None) as port,
        pytest.raises(EnvironmentFault, match=str(port)),
        health_port(HealthSettings(port=port), registry(), lambda: None),
    ):
        raise AssertionError("unreachable")
