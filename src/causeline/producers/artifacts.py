"""The artifact store: content goes here, references travel.

Content-addressed: the reference of some bytes is made of their SHA-256, so storing twice is storing once and a read
proves itself. A local directory by default; any fsspec URL (`s3://bucket/prefix`, `gs://…`) with the `artifacts` extra.
A local reference is `artifact:sha256/ab/cd…`, without the directory, so that it survives a move; one in a URL store
begins with the store's URL. A fragment (`#page=3`) points into an artifact and is not part of its address.
"""

import hashlib
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from causeline.schemas.errors import EnvironmentFault, NotFound, Unreachable, UsageError

_ADDRESS = re.compile(r"sha256/([0-9a-f]{2})/([0-9a-f]{62})", re.ASCII)
_LOCAL = "artifact:"


class Corrupted(EnvironmentFault):
    """What stands under an address is not what was stored there."""


class _Blobs(Protocol):
    """Where bytes lie, by address."""

    prefix: str

    def write(self, address: str, data: bytes) -> None: ...

    def read(self, address: str) -> bytes: ...

    def has(self, address: str) -> bool: ...


class ArtifactStore:
    """Bytes in, references out. Safe for threads and processes; storing is idempotent and atomic."""

    def __init__(self, blobs: _Blobs) -> None:
        self._blobs = blobs

    @classmethod
    def open(cls, where: str | os.PathLike[str]) -> "ArtifactStore":
        """The store in a directory or under an fsspec URL; raises UsageError or EnvironmentFault."""
        text = os.fspath(where)
        if "://" in text and not text.startswith("file://"):
            return cls(_UrlBlobs(text))
        return cls(_DirectoryBlobs(Path(text.removeprefix("file://"))))

    def put(self, data: bytes) -> str:
        """Store `data` and give its reference. Raises EnvironmentFault or Unreachable when it cannot be written."""
        digest = hashlib.sha256(data).hexdigest()
        address = f"sha256/{digest[:2]}/{digest[2:]}"
        if not self._blobs.has(address):
            self._blobs.write(address, data)
        return self._blobs.prefix + address

    def get(self, ref: str) -> bytes:
        """The bytes of a reference, its fragment aside. Raises UsageError, NotFound or Corrupted."""
        address = self._address(ref)
        data = self._blobs.read(address)
        if hashlib.sha256(data).hexdigest() != address.removeprefix("sha256/").replace("/", ""):
            raise Corrupted(f"The artifact {address} is not what was stored under it.")
        return data

    def exists(self, ref: str) -> bool:
        """Whether a reference can be resolved. Raises UsageError for what is none of this store's."""
        return self._blobs.has(self._address(ref))

    def _address(self, ref: str) -> str:
        base = ref.partition("#")[0]
        address = base.removeprefix(self._blobs.prefix)
        if address == base or not _ADDRESS.fullmatch(address):
            raise UsageError(
                "The reference is none of this artifact store.", hint=f"Its references begin with {self._blobs.prefix}."
            )
        return address


class _DirectoryBlobs:
    """Files below a private directory, written aside and moved into place."""

    prefix = _LOCAL

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: set[str] = set()

    def write(self, address: str, data: bytes) -> None:
        target = self._root / address
        aside = target.with_name(f".{target.name[:16]}.{secrets.token_hex(4)}")
        try:
            self._make_folder(target.parent)
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
            aside.replace(target)
        except OSError as error:
            with suppress(OSError):
                aside.unlink()
            raise EnvironmentFault(
                f"An artifact cannot be written: {error.strerror}.",
                hint=f"Check space and permissions of {self._root}, or set CAUSELINE_ARTIFACTS.",
            ) from error

    def read(self, address: str) -> bytes:
        try:
            return (self._root / address).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"There is no artifact {address}.") from None
        except OSError as error:
            raise EnvironmentFault(f"The artifact {address} cannot be read: {error.strerror}.") from error

    def has(self, address: str) -> bool:
        return (self._root / address).exists()

    def _make_folder(self, folder: Path) -> None:
        if folder.name not in self._made:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._made.add(folder.name)


class _UrlBlobs:
    """Objects under an fsspec URL."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec  # noqa: PLC0415 - optional extra
        except ImportError as error:
            raise EnvironmentFault(
                f"Artifacts under {url.partition('://')[0]}:// need fsspec.", hint="pip install 'causeline[artifacts]'"
            ) from error
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise UsageError(f"{url!r} is no place for artifacts: {error}.") from error
        self.prefix = url.rstrip("/") + "/"

    def write(self, address: str, data: bytes) -> None:
        self._guard(lambda path: self._files.pipe_file(path, data), address)

    def read(self, address: str) -> bytes:
        return bytes(self._guard(self._files.cat_file, address))

    def has(self, address: str) -> bool:
        return bool(self._guard(self._files.exists, address))

    def _guard(self, act: Any, address: str) -> Any:
        path = f"{self._root}/{address}"
        try:
            return act(path)
        except FileNotFoundError:
            raise NotFound(f"There is no artifact {address}.") from None
        except OSError as error:
            raise Unreachable(f"The artifact store does not answer: {type(error).__name__}.") from error
