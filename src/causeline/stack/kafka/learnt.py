"""What Java has learnt of Kafka's classes (its AOT cache), kept beside the jars: it halves the CPU of a broker's start.

The run that formats a broker's storage makes it where there is none, since it ends by itself; every later run of this
runtime with these jars begins with it. Java checks that it fits, and does without where it does not, as does a Java
that knows no such cache (before 25).

Decided in ADR 63.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess

_PREFIX = "causeline-kafka-"

_CLASSES_ALONE = ["-XX:+UnlockDiagnosticVMOptions", "-XX:-AOTAdapterCaching", "-XX:-AOTStubCaching"]
"""Without the adapters, which Java 25 takes for each other's and says so in every run."""

Run = Callable[[Sequence[str]], "CompletedProcess[str]"]
"""Runs Java to its end, with these options."""


def learnt_file(java: Path, jars: Sequence[Path], folder: Path) -> Path | None:
    """Where it is for this runtime and these jars, whether it is made or not; None where one of them cannot be seen."""
    try:
        found = [each.stat() for each in (java.resolve().parents[1] / "lib" / "modules", *jars)]
    except (OSError, IndexError):
        return None
    marks = [f"{each.st_size} {each.st_mtime_ns}" for each in found]
    digest = hashlib.sha256("\n".join([*map(str, jars), *marks]).encode()).hexdigest()
    return folder / f"{_PREFIX}{digest[:16]}.aot"


def with_learnt(learnt: Path | None) -> list[str]:
    """Options of a run that begins with it."""
    return [] if learnt is None or not learnt.exists() else [*_CLASSES_ALONE, f"-XX:AOTCache={learnt}"]


def learning(learnt: Path | None, run: Run) -> "CompletedProcess[str]":
    """Does a run with the options that make it, or that begin with it where it is made; once more without them where
    that fails. What was made for other runtimes and jars is removed."""
    if learnt is None or learnt.exists() or not os.access(learnt.parent, os.W_OK):
        options, new = with_learnt(learnt), None
    else:
        new = learnt.with_name(f"{learnt.stem}.{os.getpid()}.aot")
        options = [*_CLASSES_ALONE, f"-XX:AOTCacheOutput={new}"]
    done = run(options)
    if done.returncode != 0 and options:
        done = run([])
    elif learnt is not None and new is not None and new.exists():
        new.replace(learnt)
        for other in set(learnt.parent.glob(f"{_PREFIX}*.aot")) - {learnt}:
            other.unlink(missing_ok=True)
    return done
