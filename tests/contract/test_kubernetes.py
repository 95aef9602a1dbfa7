"""The manifests for Kubernetes: Kubernetes' own schemas take them, and they say what the compose file says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.contract import kubernetes_manifests as made
from tests.contract.compose_file import OURS, ROOT, told

FILES = made.files()
WRITTEN = sorted(path for path in made.FOLDER.rglob("*.yaml") if path not in FILES)
KUBERNETES = "1.33"


def _documents(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text("utf-8")) if each]


def _whole() -> Iterator[dict[str, Any]]:
    """What a cluster would be given as it stands: no patches, nothing of kustomize's or of others' own kinds."""
    for path in (*FILES, *WRITTEN):
        if path.name not in {"log-in.yaml", "kustomization.yaml", "lag.yaml"}:
            yield from _documents(path)


WHOLE = list(_whole())
WORKLOADS = {each["metadata"]["name"]: each for each in WHOLE if "template" in each.get("spec", {})}


def _pod(part: str) -> dict[str, Any]:
    pod: dict[str, Any] = WORKLOADS[part]["spec"]["template"]["spec"]
    return pod


def _container(part: str) -> dict[str, Any]:
    [container] = _pod(part)["containers"]
    return dict(container)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_is_made_of_the_compose_file_stands_as_it_would_be_made(path: Path) -> None:
    assert path.read_text("utf-8") == FILES[path], "python -m tests.contract.kubernetes_manifests writes it anew"


@pytest.mark.parametrize("document", WHOLE, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_kubernetes_schemas_take_it(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_a_manifest_with_a_word_too_much_is_not_taken() -> None:
    wrong = {**WORKLOADS["worker"], "spec": {**WORKLOADS["worker"]["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


@pytest.mark.parametrize("path", sorted(made.FOLDER.rglob("kustomization.yaml")), ids=lambda path: path.parent.name)
def test_every_file_that_kustomize_is_told_of_is_there_and_none_is_forgotten(path: Path) -> None:
    [said] = _documents(path)
    generated = [name for each in said.get("configMapGenerator", []) for name in each.get("files", [])]
    generated += [name for each in said.get("configMapGenerator", []) for name in each.get("envs", [])]
    patches = [each["path"] for each in said.get("patches", [])]
    named = {*said.get("resources", []), *said.get("components", []), *patches, *generated}

    assert all((path.parent / each).exists() for each in named)
    assert {each.name for each in path.parent.iterdir()} - {path.name} <= {Path(each).name for each in named}


def test_every_part_of_ours_is_there() -> None:
    assert set(WORKLOADS) == set(OURS) == set(made.PARTS)


@pytest.mark.parametrize("part", made.PARTS)
def test_no_pod_may_do_more_than_it_must(part: str) -> None:
    pod, container = _pod(part), _container(part)

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["resources"]["limits"].keys() == {"cpu", "memory"}
    secret = [each["secret"] for each in pod["volumes"] if "secret" in each]
    given = {item["key"] for each in secret for item in each["items"]}
    named = {str(each["value"]).rpartition("/")[2] for each in container["env"] if each["name"].endswith("_FILE")}
    assert given == named


@pytest.mark.parametrize("part", sorted(set(made.PARTS) - set(made.JOBS)))
def test_what_lasts_is_asked_for_its_pulse(part: str) -> None:
    container = _container(part)
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    environment = {each["name"]: each.get("value") for each in container["env"]}

    assert str(ports["health"]) == environment["CAUSELINE_HEALTH_PORT"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "health"}


def test_settings_that_parts_ask_for_are_said() -> None:
    lines = (made.FOLDER / "base" / "settings.env").read_text("utf-8").splitlines()
    said = {line.partition("=")[0] for line in lines}
    asked = {
        each["valueFrom"]["configMapKeyRef"]["key"]
        for documents in (WHOLE, _documents(made.FOLDER / "kafka-log-in" / "log-in.yaml"))
        for workload in documents
        if "template" in workload.get("spec", {})
        for each in workload["spec"]["template"]["spec"]["containers"][0]["env"]
        if "configMapKeyRef" in each.get("valueFrom", {})
    }

    assert asked == said


@pytest.mark.parametrize("part", made.PARTS)
def test_a_user_at_kafka_has_rights_there(part: str) -> None:
    if "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS" not in told(part):
        assert part == "migrate"
        return
    user = made.KAFKA_USERS.get(part, part)
    assert f"User:{user} " in (ROOT / "deploy/kafka/acls.sh").read_text("utf-8")


@pytest.mark.parametrize("part", made.PARTS)
def test_every_variable_of_a_pod_is_one_that_somebody_reads(part: str) -> None:
    known = (ROOT / "docs" / "operations.md").read_text("utf-8")  # its table is made from the settings
    log_in = [made.log_in(part)["spec"]["template"]["spec"]] if part != "migrate" else []
    names = {each["name"] for pod in (_pod(part), *log_in) for each in pod["containers"][0]["env"]}
    ours = {name.removesuffix("_FILE") for name in names if name.startswith("CAUSELINE_")}

    assert {name for name in ours if f"`{name}`" not in known} == set()
    assert names - {name for name in names if name.startswith("CAUSELINE_")} <= {
        "CLICKHOUSE_SCHEME", "CLICKHOUSE_ADDRESS",
    }  # fmt: skip
