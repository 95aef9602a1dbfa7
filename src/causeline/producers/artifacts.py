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
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from causeline.producers.packed import MAX_PACKED_BYTES, PackedBlobs
from causeline.schemas.errors import EnvironmentFault, NotFound, Unreachable, UsageError

_ADDRESS = re.compile(r"sha256/([0-9a-f]{2})/([0-9a-f]{62})", re.ASCII)
_LOCAL = "artifact:"
_A_DAY_S = 86_400


class Corrupted(EnvironmentFault):
    """What stands under an address is not what was stored there."""


class _Blobs(Protocol):
    """Where bytes lie, by address."""

    prefix: str

    def write(self, address: str, data: bytes) -> None: ...

    def write_small(self, blobs: Sequence[tuple[str, bytes]]) -> None: ...

    def read(self, address: str) -> bytes: ...

    def size(self, address: str) -> int | None: ...

    def touch(self, address: str) -> None: ...

    def unused_since(self, cutoff_s: float) -> Iterator[str]: ...

    def remove(self, address: str, cutoff_s: float) -> int: ...


class ArtifactStore:
    """Bytes in, references out. Safe for threads and processes; storing is idempotent and atomic."""

    def __init__(self, blobs: _Blobs) -> None:
        self._blobs = blobs

    @classmethod
    def open(cls, where: str | os.PathLike[str]) -> "ArtifactStore":
        """The store in a directory or under an fsspec URL; raises UsageError or EnvironmentFault."""
        text = os.fspath(where)
        if not text:
            raise UsageError("No place for artifacts is named.", hint="Set CAUSELINE_ARTIFACTS to a directory or URL.")
        if "://" in text and not text.startswith("file://"):
            return cls(_UrlBlobs(text))
        return cls(_DirectoryBlobs(Path(text.removeprefix("file://"))))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "ArtifactStore":
        """The store that CAUSELINE_ARTIFACTS names, else `artifacts` in CAUSELINE_STATE_DIR (default `.causeline`)."""
        variables = os.environ if environment is None else environment
        state = Path(variables.get("CAUSELINE_STATE_DIR") or ".causeline")
        return cls.open(variables.get("CAUSELINE_ARTIFACTS") or state / "artifacts")

    def put(self, data: bytes) -> str:
        """Store `data` and give its reference. Raises EnvironmentFault or Unreachable when it cannot be written."""
        address = _address_of(data)
        if self._blobs.size(address) != len(data):  # absent, or cut short by a crash of the machine
            self._blobs.write(address, data)
        else:
            self._blobs.touch(address)
        return self._blobs.prefix + address

    def put_many(self, items: Sequence[bytes]) -> list[str]:
        """Store many at once and give their references, in order: cheaper by far for small ones. Raises as `put`."""
        addresses = [_address_of(data) for data in items]
        lot = dict(zip(addresses, items, strict=True))
        self._blobs.write_small([(address, data) for address, data in lot.items() if len(data) <= MAX_PACKED_BYTES])
        for address, data in lot.items():
            if len(data) <= MAX_PACKED_BYTES:
                continue
            if self._blobs.size(address) != len(data):
                self._blobs.write(address, data)
            else:
                self._blobs.touch(address)
        return [self._blobs.prefix + address for address in addresses]

    def get(self, ref: str) -> bytes:
        """The bytes of a reference, its fragment aside. Raises UsageError, NotFound or Corrupted."""
        address = self._address(ref)
        data = self._blobs.read(address)
        if hashlib.sha256(data).hexdigest() != address.removeprefix("sha256/").replace("/", ""):
            raise Corrupted(f"The artifact {address} is not what was stored under it.")
        return data

    def exists(self, ref: str) -> bool:
        """Whether a reference can be resolved. Raises UsageError for what is none of this store's."""
        return self._blobs.size(self._address(ref)) is not None

    def unused_since(self, cutoff_s: float) -> Iterator[str]:
        """References of what nobody has stored, or stored again, since then (Unix seconds)."""
        return (self._blobs.prefix + address for address in self._blobs.unused_since(cutoff_s))

    def remove(self, ref: str, *, cutoff_s: float | None = None) -> int:
        """Remove what a reference names, and give its bytes; 0 where it isn't there, or was stored since `cutoff_s`.

        Nothing of it is left on a disk of ours: small ones are overwritten where they lie. Raises EnvironmentFault.
        """
        return self._blobs.remove(self._address(ref), float("inf") if cutoff_s is None else cutoff_s)

    def _address(self, ref: str) -> str:
        base = ref.partition("#")[0]
        address = base.removeprefix(self._blobs.prefix)
        if address == base or not _ADDRESS.fullmatch(address):
            raise UsageError(
                "The reference is none of this artifact store.", hint=f"Its references begin with {self._blobs.prefix}."
            )
        return address


def _address_of(data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    return f"sha256/{digest[:2]}/{digest[2:]}"


def _digest_in(address: str) -> bytes:
    return bytes.fromhex(address.removeprefix("sha256/").replace("/", ""))


class _DirectoryBlobs:
    """Files below a private directory, written aside and moved into place."""

    prefix = _LOCAL

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._packed = PackedBlobs(self._root)

    def write(self, address: str, data: bytes) -> None:
        target = self._root / address
        aside = target.with_name(f".{target.name[:16]}.{secrets.token_hex(4)}")
        try:
            for folder in (self._root, target.parent.parent, target.parent):
                folder.mkdir(mode=0o700, parents=folder == self._root, exist_ok=True)
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

    def write_small(self, blobs: Sequence[tuple[str, bytes]]) -> None:
        if blobs:
            self._packed.write((_digest_in(address), data) for address, data in blobs)

    def read(self, address: str) -> bytes:
        try:
            return (self._root / address).read_bytes()
        except FileNotFoundError:
            if (packed := self._packed.read(_digest_in(address))) is not None:
                return packed
            raise NotFound(f"There is no artifact {address}.") from None
        except OSError as error:
            raise EnvironmentFault(f"The artifact {address} cannot be read: {error.strerror}.") from error

    def size(self, address: str) -> int | None:
        try:
            return (self._root / address).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return self._packed.size(_digest_in(address))
        except OSError as error:
            raise EnvironmentFault(f"The artifact {address} cannot be read: {error.strerror}.") from error

    def touch(self, address: str) -> None:
        """Note that it was stored again: whoever collects what is old must not take it."""
        try:
            os.utime(self._root / address)
        except FileNotFoundError:
            self._packed.touch(_digest_in(address))
        except PermissionError:
            return  # another user's store: who collects there is that user, and has it as old as it is

    def unused_since(self, cutoff_s: float) -> Iterator[str]:
        for file in (self._root / "sha256").glob("??/*"):
            if _ADDRESS.fullmatch(f"sha256/{file.parent.name}/{file.name}") and file.stat().st_mtime < cutoff_s:
                yield f"sha256/{file.parent.name}/{file.name}"
        for digest in self._packed.unused_since(cutoff_s):
            yield f"sha256/{digest.hex()[:2]}/{digest.hex()[2:]}"

    def remove(self, address: str, cutoff_s: float) -> int:
        file = self._root / address
        try:
            found = file.stat()
            if found.st_mtime >= cutoff_s:
                return 0
            file.unlink()
        except FileNotFoundError:
            return self._packed.remove(_digest_in(address), cutoff_s)
        except OSError as error:
            raise EnvironmentFault(f"The artifact {address} cannot be removed: {error.strerror}.") from error
        return found.st_size


class _UrlBlobs:
    """Objects under an fsspec URL."""

    def __init__(self, url: str) -> None:
        scheme = url.partition("://")[0]
        if "@" in url or "?" in url or "::" in url:
            raise UsageError(
                "An artifact URL with a password, a query or a chain would stand in every reference.",
                hint="Give bucket and prefix only, and credentials as the store's own client reads them.",
            )
        try:
            import fsspec  # noqa: PLC0415 - optional extra
        except ImportError as error:
            raise EnvironmentFault(
                f"Artifacts under {scheme}:// need fsspec.", hint="pip install 'causeline[artifacts]'"
            ) from error
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise UsageError(f"Artifacts cannot be kept under {scheme}://: {error}.") from error
        self.prefix = url.rstrip("/") + "/"

    def write(self, address: str, data: bytes) -> None:
        self._guard(lambda path: self._files.pipe_file(path, data), address)

    def write_small(self, blobs: Sequence[tuple[str, bytes]]) -> None:
        for address, data in blobs:
            if self.size(address) != len(data):
                self.write(address, data)

    def read(self, address: str) -> bytes:
        return bytes(self._guard(self._files.cat_file, address))

    def size(self, address: str) -> int | None:
        try:
            return int(self._guard(self._files.size, address))
        except NotFound:
            return None

    def touch(self, address: str) -> None:
        """Object stores have a time of their own, of the first writing: written again, the object is young again."""
        if time.time() - _seconds(self._guard(self._files.modified, address)) > _A_DAY_S:
            self.write(address, self.read(address))

    def unused_since(self, cutoff_s: float) -> Iterator[str]:
        for path, detail in self._guard(lambda root: self._files.find(root, detail=True).items(), "sha256"):
            found = _ADDRESS.search(path)
            moment = detail.get("mtime") or detail.get("LastModified") or detail.get("updated") or detail.get("created")
            if found and moment is not None and _seconds(moment) < cutoff_s:
                yield found[0]

    def remove(self, address: str, cutoff_s: float) -> int:
        size = self.size(address)
        if size is None:
            return 0
        if cutoff_s != float("inf") and _seconds(self._guard(self._files.modified, address)) >= cutoff_s:
            return 0
        self._guard(self._files.rm_file, address)
        return size

    def _guard(self, act: Any, address: str) -> Any:
        try:
            return act(f"{self._root}/{address}")
        except FileNotFoundError:
            raise NotFound(f"There is no artifact {address}.") from None
        except Exception as error:  # stores' clients raise errors of no common base
            raise Unreachable(
                f"The artifact store does not answer: {type(error).__name__}.",
                hint="Check CAUSELINE_ARTIFACTS and the store's credentials.",
            ) from error


def _seconds(moment: Any) -> float:
    """Unix seconds of what a store's client calls a time: a number, a datetime or ISO 8601."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return float(moment.timestamp() if isinstance(moment, datetime) else moment)
