"""What docker-compose.yml says, for the tests and the manifests that are held to it."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"].startswith("causeline:"))
_DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")


def told(service: str) -> dict[str, str]:
    """The merged environment of a service, with the file's own defaults for what the caller may choose."""
    return {name: _DEFAULT.sub(r"\1", str(text)) for name, text in SERVICES[service]["environment"].items()}
