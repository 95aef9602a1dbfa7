"""Jars come from the configured repository once, and only with the pinned bytes."""

import gc
import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from causeline.schemas.errors import EnvironmentFault, Unreachable
from causeline.stack.kafka.jars import LOCK_FILE, class_path
from causeline.stack.ports import free_ports

JARS = {"left": b"bytes of left", "right": b"bytes of right"}


@dataclass
class Repository:
    """A Maven repository on loopback, and the cache and lock file that are used with it."""

    cache: Path
    lock_file: Path
    served: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def cached(self, name: str) -> Path:
        return self.cache / "maven" / "org" / "example" / name / "1.0" / f"{name}-1.0.jar"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    lock_file = tmp_path / "jgo.lock.toml"
    lock_file.write_text(
        "".join(
            f'[[dependencies]]\ngroupId = "org.example"\nartifactId = "{name}"\nversion = "1.0"\n'
            f'packaging = "jar"\nsha256 = "{hashlib.sha256(content).hexdigest()}"\n\n'
            for name, content in JARS.items()
        )
    )
    repository = Repository(tmp_path / "cache", lock_file)
    repository.served = {f"/org/example/{name}/1.0/{name}-1.0.jar": content for name, content in JARS.items()}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            repository.asked.append(self.path)
            content = repository.served.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet: requests are looked at in `asked`."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        configure(tmp_path, monkeypatch, server.server_address[1])
        yield repository
        server.shutdown()
        thread.join()


def configure(folder: Path, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    config = folder / "jgo.conf"
    config.write_text(f"[repositories]\ncentral = http://127.0.0.1:{port}\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(config))
    monkeypatch.setenv("CAUSELINE_CACHE_DIR", str(folder / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_jars_are_downloaded_once_in_the_order_of_the_lock(repository: Repository) -> None:
    fractions: list[float] = []
    first = class_path(fractions.append, lock_file=repository.lock_file)
    assert [path.read_bytes() for path in first] == list(JARS.values())
    assert sorted(fractions) == [0.5, 1.0]
    repository.asked.clear()
    assert class_path(lock_file=repository.lock_file) == first
    assert repository.asked == []


def test_a_download_cut_short_is_fetched_again(repository: Repository) -> None:
    class_path(lock_file=repository.lock_file)
    repository.cached("left").write_bytes(b"bytes of")
    class_path(lock_file=repository.lock_file)
    assert repository.cached("left").read_bytes() == JARS["left"]


def test_other_bytes_than_the_pinned_ones_are_refused_and_thrown_away(repository: Repository) -> None:
    repository.served["/org/example/right/1.0/right-1.0.jar"] = b"something else"
    with pytest.raises(EnvironmentFault, match=r"right-1\.0\.jar does not have the pinned sha256"):
        class_path(lock_file=repository.lock_file)
    assert not repository.cached("right").exists()


# jgo leaves the answer that says 404 unread, and its socket to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_jar_that_no_repository_has_is_named(repository: Repository) -> None:
    del repository.served["/org/example/left/1.0/left-1.0.jar"]
    with pytest.raises(Unreachable, match=r"left-1\.0\.jar could not be downloaded") as caught:
        class_path(lock_file=repository.lock_file)
    del caught
    gc.collect()


def test_without_a_network_the_way_out_is_told(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path, monkeypatch, free_ports(1)[0])
    with pytest.raises(Unreachable) as caught:
        class_path(lock_file=repository.lock_file)
    assert "a mirror under [repositories]" in (caught.value.hint or "")


def test_a_file_in_place_of_the_cache_is_one_sentence(repository: Repository) -> None:
    repository.cache.write_text("")
    with pytest.raises(EnvironmentFault, match="the jar cache"):
        class_path(lock_file=repository.lock_file)


def test_every_pinned_jar_has_a_sha256_and_the_lock_no_address() -> None:
    text = LOCK_FILE.read_text()
    assert text.count("sha256 = ") == text.count("[[dependencies]]") > 40
    assert "://" not in text
