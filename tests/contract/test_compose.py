"""The compose file is the production-like stack: valid, fenced, and without a secret in it."""

import subprocess
import sys

import pytest

from tests.contract.compose_file import FILE, OURS, ROOT, SERVICES

ONE_SHOT = {"topics", "migrate"}


def test_it_keeps_to_the_compose_specification() -> None:
    check = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert check.returncode == 0, check.stdout + check.stderr


def test_it_holds_every_part_of_the_stack() -> None:
    assert set(SERVICES) >= {"kafka", "registry", "clickhouse", "topics", "migrate", "worker", "loader", "console"}
    assert SERVICES["worker"]["deploy"]["replicas"] == 2
    assert SERVICES["loader"]["deploy"]["replicas"] == 2


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_limits_and_says_when_it_is_well(name: str) -> None:
    service = SERVICES[name]

    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert ("healthcheck" in service) != (name in ONE_SHOT)
    assert service["restart"] == ("on-failure:5" if name in ONE_SHOT else "unless-stopped")


@pytest.mark.parametrize("name", SERVICES)
def test_no_password_stands_in_it_and_ports_are_on_loopback(name: str) -> None:
    service = SERVICES[name]
    secrets = {
        key: value for key, value in service.get("environment", {}).items() if "PASSWORD" in key or "TOKEN" in key
    }

    assert all(key.endswith("_FILE") and str(value).startswith("/run/secrets/") for key, value in secrets.items())
    assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize(
    "name", ["worker", "loader", "receiver", "amender", "diagnoser", "watch", "console", "exporter"]
)
def test_what_has_a_pulse_is_asked_for_it(name: str) -> None:
    service = SERVICES[name]

    assert int(service["environment"]["CAUSELINE_HEALTH_PORT"])
    assert service["healthcheck"]["test"] == ["CMD", "causeline", "health"]


@pytest.mark.parametrize("name", OURS)
def test_our_services_run_without_privileges(name: str) -> None:
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_image_is_built_from_the_pins_and_runs_as_nobody_in_particular() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")

    assert "--require-hashes --requirement requirements/all.txt" in dockerfile
    assert "--require-hashes --requirement requirements/setup.txt" in dockerfile
    assert "maturin build --release --manifest-path core/Cargo.toml --out wheels" in dockerfile
    assert "pip install --no-cache-dir --no-deps . wheels/*.whl" in dockerfile
    assert "\nUSER causeline\n" in dockerfile
