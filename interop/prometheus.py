"""A real Prometheus before a real stack: `python -m interop.prometheus [--runs N]`; needs `prometheus` on PATH.

It scrapes every service by the configuration of `deploy/prometheus`, in which places, token and pace alone are
others, and evaluates its rules. Every part must be up, every rule sound, every expression of the dashboards answered,
and no alert may stand while all is well. Then a message that nobody can read comes, and a worker goes: both must be
told.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from causeline.kafka.publisher import ProducerRecord, Publisher
from causeline.schemas.errors import CauselineError, EnvironmentFault
from causeline.schemas.topics import EVENTS
from causeline.stack.endpoints import Endpoints
from causeline.stack.local import down, status
from causeline.stack.ports import free_ports
from causeline.stack.waiting import wait_until
from interop.phoenix import demo_runs
from interop.serving import serving
from tests import deployed

STEP_TIMEOUT_S = 120
_CONFIGURATION = deployed.RULES.with_name("prometheus.yml")
_UNREADABLE = "CauselineUnreadable"
_AWAY = "CauselinePartAway"
_PARTS = {"worker-1", "load-1", "amend", "diagnose", "watch", "serve", "receive"}
_NOT_THERE = "causeline_exporter_"
"""The demo exports nothing."""
_RATE = "$__rate_interval"
"""Grafana puts a time there, four scrapes and more."""


def configured(places: list[str]) -> dict[str, Any]:
    """The configuration that we ship, for these places, without a token and at a pace of seconds."""
    document: dict[str, Any] = yaml.safe_load(_CONFIGURATION.read_text("utf-8"))
    document["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    document["rule_files"] = [str(deployed.RULES)]
    [job] = document["scrape_configs"]
    del job["authorization"], job["dns_sd_configs"]
    job["static_configs"] = [{"targets": places}]
    return document


@contextmanager
def running(binary: str, folder: Path, places: list[str]) -> Iterator[httpx.Client]:
    """Prometheus on a free port of loopback, once it is ready; gives a client of it."""
    [port] = free_ports(1)
    configuration = folder / "prometheus.yml"
    configuration.write_text(yaml.safe_dump(configured(places)), "utf-8")
    command = [
        binary,
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with serving("Prometheus", command, port=port, well="/-/ready", log=folder / "log") as client:
        yield client


def places_of(endpoints: Endpoints) -> dict[str, str]:
    """Where each service of a local stack tells its metrics, by its name."""
    found = deployed.health_pages((endpoints.state_dir / "logs").iterdir())
    if lacking := _PARTS - set(found):
        raise EnvironmentFault(f"No metrics of {', '.join(sorted(lacking))} can be found.", hint="See their logs.")
    return {name: address.removeprefix("http://") for name, address in found.items()}


def asked(client: httpx.Client, expression: str) -> list[dict[str, Any]]:
    """What an expression gives now; EnvironmentFault where Prometheus does not understand it."""
    answer = client.post("/api/v1/query", data={"query": expression.replace(_RATE, "1m")}).json()
    if answer["status"] != "success":
        raise EnvironmentFault(f"Prometheus says of `{expression}`: {answer.get('error')}.", hint="See deploy/grafana.")
    return list(answer["data"]["result"])


def rules(client: httpx.Client) -> list[dict[str, Any]]:
    """Each rule as Prometheus has it; EnvironmentFault where one cannot be evaluated."""
    groups = client.get("/api/v1/rules").raise_for_status().json()["data"]["groups"]
    found = [rule for group in groups for rule in group["rules"]]
    for rule in found:
        if rule["health"] == "err":
            raise EnvironmentFault(
                f"The rule {rule['name']} fails: {rule['lastError']}.", hint="See deploy/prometheus."
            )
    return found


def standing(client: httpx.Client) -> dict[str, str]:
    """Alerts that are pending or fire, by name."""
    return {rule["name"]: rule["state"] for rule in rules(client) if rule["state"] != "inactive"}


def tried(endpoints: Endpoints, client: httpx.Client, places: dict[str, str]) -> dict[str, Any]:
    """What Prometheus tells while all is well, and what when it is not."""

    def told(alert: str) -> bool:
        return alert in standing(client)

    wait_until(
        lambda: len(asked(client, 'up{job="causeline"} == 1')) == len(places),
        timeout_s=STEP_TIMEOUT_S,
        what="a part of the stack does not answer Prometheus",
    )
    wait_until(
        lambda: all(rule["health"] == "ok" for rule in rules(client)),
        timeout_s=STEP_TIMEOUT_S,
        what="a rule is not evaluated",
    )
    panels = {each for each in deployed.panel_expressions() if _NOT_THERE not in each}
    wait_until(
        lambda: all(asked(client, each) for each in panels), timeout_s=STEP_TIMEOUT_S, what="a panel stays empty"
    )
    while_well = standing(client)

    unreadable = ProducerRecord(EVENTS.full_name(endpoints.topic_prefix), b"nobody can read this", None, 0)
    Publisher(endpoints.kafka(), client_id="interop", timeout_s=60).publish([unreadable])
    wait_until(lambda: told(_UNREADABLE), timeout_s=STEP_TIMEOUT_S, what="a dead letter is not told")

    [worker] = [each for each in status(endpoints.state_dir).services if each.name == "worker-1"]
    if worker.process is None:
        raise EnvironmentFault("The stack has no worker that runs.", hint="causeline status")
    os.kill(worker.process.pid, signal.SIGKILL)  # the next one has another place
    wait_until(lambda: told(_AWAY), timeout_s=STEP_TIMEOUT_S, what="a worker that is gone is not told")
    return {
        "parts": sorted(places),
        "rules": len(rules(client)),
        "panels": len(panels),
        "alerts_while_well": while_well,
        "alerts_then": standing(client),
    }


def main(arguments: list[str]) -> int:
    """Exit code 0 where Prometheus tells what is wrong, and nothing while all is well."""
    parser = argparse.ArgumentParser(prog="python -m interop.prometheus", description=__doc__)
    parser.add_argument("--runs", type=int, default=60, help="how many runs the demo publishes")
    options = parser.parse_args(arguments)
    binary = shutil.which("prometheus")
    if binary is None:
        sys.stderr.write("There is no prometheus on PATH: Debian's package `prometheus` has it.\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="causeline-prometheus-") as scratch:
        state_dir = Path(scratch) / "state"
        try:
            os.environ["CAUSELINE_HEALTH_PORT"] = "0"  # a free one for each service, whose log names it
            endpoints, _ = demo_runs(state_dir, options.runs)
            places = places_of(endpoints)
            with running(binary, Path(scratch), list(places.values())) as client:
                report = tried(endpoints, client, places)
        except CauselineError as fault:
            sys.stderr.write(f"{fault} {fault.hint or ''}\n")
            return 1
        except httpx.HTTPError as error:
            sys.stderr.write(f"Prometheus does not answer as its interface says: {error}.\n")
            return 1
        finally:
            down(state_dir)
    sys.stdout.write(f"{json.dumps(report)}\n")
    return 1 if report["alerts_while_well"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
