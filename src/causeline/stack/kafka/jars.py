"""The broker's jars: downloaded once by jgo, from Maven coordinates, and checked against pinned sha256.

The graph of dependencies was walked when the lock file was made; here each pinned artifact is only fetched, eight
at a time, into the local Maven repository that jgo and Maven share (or under `CAUSELINE_CACHE_DIR`). All of them
go on the class path: the broker does not run as a Java module.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import requests
from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.env import LockedDependency, LockFile
from jgo.maven import Artifact, MavenContext

from causeline.schemas.errors import CauselineError, EnvironmentFault, Unreachable
from causeline.stack.faults import environment_fault

SPEC_FILE = Path(__file__).with_name("jgo.toml")
LOCK_FILE = Path(__file__).with_name("jgo.lock.toml")
CACHE_DIR_VARIABLE = "CAUSELINE_CACHE_DIR"

_PARALLEL_DOWNLOADS = 8
_TIMEOUT_S = 30

Progress = Callable[[float], None]
"""Told the fraction done, 0 to 1; may be called from the caller's thread only."""


def maven_context() -> MavenContext:
    """Repositories and cache as the user configured them for jgo; `CAUSELINE_CACHE_DIR` moves the cache."""
    settings = GlobalSettings.load()
    own_cache = os.environ.get(CACHE_DIR_VARIABLE)
    return MavenContext(
        repo_cache=Path(own_cache).expanduser() / "maven" if own_cache else settings.repo_cache,
        remote_repos={"central": MAVEN_CENTRAL_URL, **settings.repositories},
        timeout=_TIMEOUT_S,
    )


def class_path(progress: Progress = lambda _: None, *, lock_file: Path = LOCK_FILE) -> list[Path]:
    """Every pinned jar, present on disk with the pinned sha256, in the order of the lock file.

    Raises `Unreachable` when a repository does not answer, `EnvironmentFault` when the disk is full or the cache
    not writable, or when a repository keeps sending other bytes than the pinned ones.
    """
    locked = LockFile.load(lock_file).dependencies
    context = maven_context()
    paths: dict[int, Path] = {}
    try:
        with _one_downloader(context.repo_cache), ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
            futures = {pool.submit(_fetch, context, each): index for index, each in enumerate(locked)}
            try:
                for done in as_completed(futures):
                    paths[futures[done]] = done.result()
                    progress(len(paths) / len(locked))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    except OSError as error:
        raise environment_fault(error, f"the jar cache {context.repo_cache}") from error
    return [paths[index] for index in range(len(locked))]


def _fetch(context: MavenContext, locked: LockedDependency) -> Path:
    """One jar; what lies in the cache with other bytes (a download cut short) is fetched once more."""
    artifact = (
        context.project(locked.groupId, locked.artifactId)
        .at_version(locked.version)
        .artifact(locked.classifier or "", locked.packaging)
    )
    path = _resolve(artifact)
    if _sha256(path) != locked.sha256:
        path.unlink()
        path = _resolve(artifact)
        if _sha256(path) != locked.sha256:
            path.unlink()
            raise EnvironmentFault(
                f"{artifact.filename} does not have the pinned sha256, so it was thrown away.",
                hint="Check the Maven repository configured for jgo; something between may rewrite downloads.",
            )
    return path


def _resolve(artifact: Artifact) -> Path:
    try:
        return Path(artifact.resolve())
    except requests.exceptions.SSLError as error:
        raise Unreachable(
            f"{artifact.filename} could not be downloaded: the Maven repository's certificate is not trusted.",
            hint="Behind a proxy that opens TLS, set REQUESTS_CA_BUNDLE to the file of its certificates.",
        ) from error
    except requests.RequestException as error:
        raise _unreachable(artifact) from error
    except RuntimeError as error:  # jgo's word for "in none of the repositories"
        raise _unreachable(artifact) from error
    except OSError:
        cut_short = artifact.cached_path
        if cut_short is not None:
            cut_short.unlink(missing_ok=True)
        raise


def _unreachable(artifact: Artifact) -> CauselineError:
    return Unreachable(
        f"{artifact.filename} could not be downloaded from any configured Maven repository.",
        hint="The first start needs the network, or a mirror under [repositories] in jgo's configuration file.",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _one_downloader(cache: Path) -> Iterator[None]:
    """jgo writes a download in place, so two processes that fill one cache must take turns."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".causeline.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
