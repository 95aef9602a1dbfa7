"""The manifests of `deploy/kubernetes`, made from docker-compose.yml: what a part is told stands in one place.

`python -m tests.contract.kubernetes_manifests` writes them. A part's command, environment, secrets, volumes and limits
are those of the compose file; what only Kubernetes knows (kinds, probes, budgets, addresses by settings) is said here.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.contract.compose_file import ROOT, SERVICES, told

FOLDER = ROOT / "deploy" / "kubernetes"
Manifest = dict[str, Any]
JOBS = ("topics", "migrate")
READERS = ("worker", "loader", "amender", "diagnoser")
"""Members of consumer groups: each keeps its name, and so its partitions, over a restart."""
SERVERS = {"receiver": {"otlp-http": 4318, "otlp-grpc": 4317}, "console": {"http": 8080}}
SINGLE = ("watch", "exporter")
PARTS = (*JOBS, *READERS, *SERVERS, *SINGLE)
OPTIONAL = ("exporter",)
"""Parts of a component of their own: the base comes up without them."""
KAFKA_USERS = {"topics": "operator"}
"""Who a part is at the broker (deploy/kafka/acls.sh), where it isn't its own name."""
HEALTH_PORT = 9100
USER = 10001
"""The image's."""
FROM_SETTINGS = (
    "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS", "CAUSELINE_REGISTRY_URL", "CAUSELINE_PARTITIONS", "CAUSELINE_EXPORT_ENDPOINT",
)  # fmt: skip
ZONE = "topology.kubernetes.io/zone"
"""The label of a node that says its zone, and of a pod where the cluster copies it (README.md); else it is empty."""
ADDRESS = "$(CLICKHOUSE_SCHEME)://{user}@$(CLICKHOUSE_ADDRESS)"
_HEAD = "# Made from docker-compose.yml by tests/contract/kubernetes_manifests.py: change that, or patch this.\n"


class _Plain(yaml.SafeDumper):
    """Says a thing that stands in two places in both."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def manifests(part: str) -> list[Manifest]:
    """Everything that a part is, for one file."""
    made = [_workload(part)]
    if part in READERS:
        made.append(_service(part, {"health": HEALTH_PORT}, headless=True))
    if part in SERVERS:
        made.append(_service(part, SERVERS[part]))
    if _replicas(part) > 1 or part in SERVERS:
        made.append(_budget(part))
    return made


def text_of(documents: list[Manifest]) -> str:
    """Manifests as one YAML file."""
    return _HEAD + yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, width=120, explicit_start=True)


def _labels(part: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": "causeline", "app.kubernetes.io/component": part}


def _replicas(part: str) -> int:
    return 2 if part in SERVERS else int(SERVICES[part]["deploy"].get("replicas", 1))


def _workload(part: str) -> Manifest:
    pod = {"metadata": {"labels": _labels(part)}, "spec": _pod(part)}
    if part in JOBS:
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": part, "labels": _labels(part)},
            "spec": {"backoffLimit": 5, "ttlSecondsAfterFinished": 3600, "template": pod},
        }
    spec: Manifest = {"replicas": _replicas(part), "selector": {"matchLabels": _labels(part)}, "template": pod}
    if part in READERS:
        spec |= {"serviceName": part, "podManagementPolicy": "Parallel"}
    elif part in SINGLE:
        spec |= {"strategy": {"type": "Recreate"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet" if part in READERS else "Deployment",
        "metadata": {"name": part, "labels": _labels(part)},
        "spec": spec,
    }


def _pod(part: str) -> Manifest:
    secrets = list(SERVICES[part].get("secrets", []))
    mounts: list[Manifest] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - in a container
    volumes: list[Manifest] = [{"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}]
    if secrets:
        items = [{"key": each, "path": each} for each in secrets]
        mounts.append({"name": "secrets", "mountPath": "/run/secrets", "readOnly": True})
        volumes.append({"name": "secrets", "secret": {"secretName": "causeline", "defaultMode": 0o440, "items": items}})
    for name, path, *mode in (str(each).split(":") for each in SERVICES[part].get("volumes", [])):
        mounts.append({"name": name, "mountPath": path, "readOnly": mode == ["ro"]})
        volumes.append({"name": name, "persistentVolumeClaim": {"claimName": name}})
    if part == "worker":
        mounts.append({"name": "policy", "mountPath": "/etc/causeline", "readOnly": True})
        volumes.append({"name": "policy", "configMap": {"name": "policy"}})
    pod: Manifest = {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(part, mounts)],
        "volumes": volumes,
    }  # fmt: skip
    if part in JOBS:
        return {"restartPolicy": "OnFailure", **pod}
    if _replicas(part) > 1:
        pod["topologySpreadConstraints"] = [
            {
                "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": _labels(part)},
            }
        ]  # fmt: skip
    return {"terminationGracePeriodSeconds": 60, **pod}


def _container(part: str, mounts: list[Manifest]) -> Manifest:
    service = SERVICES[part]
    limits = service["deploy"]["resources"]["limits"]
    memory = str(limits["memory"]).replace("m", "Mi").replace("g", "Gi")
    container: Manifest = {
        "name": "causeline",
        "image": "causeline:dev",
        "args": list(service["command"]),
        "env": list(_environment(part)),
        "resources": {
            "requests": {"cpu": "250m", "memory": memory},
            "limits": {"cpu": str(limits["cpus"]), "memory": memory},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }  # fmt: skip
    if part in JOBS:
        return container
    ports = {"health": HEALTH_PORT, **SERVERS.get(part, {})}
    asked = {"httpGet": {"path": "/healthz", "port": "health"}, "timeoutSeconds": 5}
    return container | {
        "ports": [{"name": name, "containerPort": port} for name, port in ports.items()],
        "startupProbe": {**asked, "periodSeconds": 5, "failureThreshold": 36},
        "readinessProbe": {**asked, "periodSeconds": 10},
        # What it waits for (Kafka, ClickHouse) is no reason to start it again: only what has lasted is.
        "livenessProbe": {**asked, "periodSeconds": 20, "failureThreshold": 30},
    }


def _environment(part: str) -> Iterator[Manifest]:
    environment = told(part)
    if "CAUSELINE_CLICKHOUSE_URL" in environment:
        for name in ("CLICKHOUSE_SCHEME", "CLICKHOUSE_ADDRESS"):
            yield _setting(name)
    for name, text in environment.items():
        if name in FROM_SETTINGS:
            yield _setting(name)
        elif name == "CAUSELINE_KAFKA_CLIENT_RACK":
            yield {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{ZONE}']"}}}
        elif name == "CAUSELINE_CLICKHOUSE_URL":
            user = re.match(r"http://(\w+)@clickhouse:8123/causeline$", text)
            assert user, f"{part} reaches ClickHouse otherwise: {text}"
            yield {"name": name, "value": ADDRESS.format(user=user[1])}
        elif text:
            yield {"name": name, "value": text}
    if part in READERS:
        yield {
            "name": f"CAUSELINE_{part.upper()}_INSTANCE",
            "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
        }
    if part == "worker":
        yield {"name": "CAUSELINE_POLICY", "value": "/etc/causeline/policy.toml"}


def _setting(name: str) -> Manifest:
    return {"name": name, "valueFrom": {"configMapKeyRef": {"name": "settings", "key": name}}}


def _service(part: str, ports: dict[str, int], *, headless: bool = False) -> Manifest:
    spec: Manifest = {"selector": _labels(part), "ports": [{"name": name, "port": at} for name, at in ports.items()]}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": part, "labels": _labels(part)},
        "spec": {"clusterIP": "None", **spec} if headless else spec,
    }


def _budget(part: str) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": part, "labels": _labels(part)},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": _labels(part)}},
    }


def log_in(part: str) -> Manifest:
    """What a part gets where Kafka asks for a log-in: its user, and the secret of its own."""
    secret = f"kafka_{KAFKA_USERS.get(part, part)}"
    environment = [
        _setting("CAUSELINE_KAFKA_SECURITY_PROTOCOL"),
        _setting("CAUSELINE_KAFKA_SASL_MECHANISM"),
        {"name": "CAUSELINE_KAFKA_SASL_USERNAME", "value": KAFKA_USERS.get(part, part)},
        {"name": "CAUSELINE_KAFKA_SASL_PASSWORD_FILE", "value": f"/run/kafka/{secret}"},
    ]
    workload = _workload(part)
    return {
        "apiVersion": workload["apiVersion"],
        "kind": workload["kind"],
        "metadata": {"name": part},
        "spec": {
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "causeline",
                            "env": environment,
                            "volumeMounts": [{"name": "kafka", "mountPath": "/run/kafka", "readOnly": True}],
                        }
                    ],
                    "volumes": [
                        {
                            "name": "kafka",
                            "secret": {
                                "secretName": "causeline", "defaultMode": 0o440,
                                "items": [{"key": secret, "path": secret}],
                            },
                        }
                    ],
                }
            }
        },
    }  # fmt: skip


def files() -> dict[Path, str]:
    """Every file that is made, and what stands in it."""
    made = {
        FOLDER / ("export" if part in OPTIONAL else "base") / f"{part}.yaml": text_of(manifests(part)) for part in PARTS
    }
    users = [part for part in PARTS if "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS" in told(part)]
    for folder, parts in (("kafka-log-in", set(users) - set(OPTIONAL)), ("export-log-in", set(OPTIONAL))):
        chosen = [log_in(part) for part in users if part in parts]
        made[FOLDER / folder / "log-in.yaml"] = text_of(chosen)
    return made


if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
