"""Pin the jars of `jgo.toml` anew: `python -m causeline.stack.kafka.lock`.

The only place where the dependency graph is walked. The broker itself starts from the lock file alone, so
that a start neither reads a POM nor can be given other bytes than the ones pinned here.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import jgo
from jgo.env import EnvironmentBuilder, EnvironmentSpec, LockFile
from jgo.env._lockfile import compute_spec_hash

from causeline.stack.kafka.jars import LOCK_FILE, SPEC_FILE, maven_context

_RUNTIME_SCOPES = ("compile", "runtime")


def pin(spec_path: Path, lock_path: Path) -> int:
    """Resolve `spec_path`, download every jar, and write `lock_path`; returns the number of jars pinned."""
    context = maven_context()
    inputs = EnvironmentBuilder(context).spec_to_dependencies(EnvironmentSpec.load(spec_path))
    roots, transitive = context.resolver.resolve(inputs)
    wanted = [*roots, *(each for each in transitive if each.scope in _RUNTIME_SCOPES)]
    wanted.sort(key=str)
    lock = LockFile.from_resolved_dependencies(wanted, spec_hash=compute_spec_hash(spec_path))
    lock.jgo_version = jgo.__version__
    lock.save(lock_path)
    return len(wanted)


def main(arguments: Sequence[str]) -> None:
    """Pin the packaged specification, or the one in the folder given as the only argument."""
    folder = Path(arguments[0]) if arguments else None
    spec = folder / SPEC_FILE.name if folder else SPEC_FILE
    lock = folder / LOCK_FILE.name if folder else LOCK_FILE
    sys.stderr.write(f"pinned {pin(spec, lock)} jars in {lock.name}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
