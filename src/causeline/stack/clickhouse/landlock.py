"""Landlock: the kernel keeps this process, the engine in it included, to a few folders and off the network.

The engine reads files and addresses that a statement names, whatever its own settings say, so the fence has to be
around the process. It is put up before the engine is loaded: its threads inherit it, and nobody can take it down.
Source: https://docs.kernel.org/userspace-api/landlock.html (Linux 5.13 for files, 6.7 for TCP).
"""

import ctypes
import logging
import os
import site
import struct
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Final

log = logging.getLogger("causeline.clickhouse")

_CREATE_RULESET: Final = 444  # the same number on every architecture
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_ASK_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_ALL_ABI_1: Final = (1 << 13) - 1
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_CONNECT_TCP: Final = 2
_READ: Final = _EXECUTE | _READ_FILE | _READ_DIR
_FILE_ONLY: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE


def fence(*, writable: Path) -> bool:
    """Leaves this process `writable`, its libraries, /proc and no outgoing TCP. Returns whether the kernel does it.

    Without Landlock (no Linux, an old kernel, a container that forbids it) one line of the log says so.
    """
    if sys.platform != "linux":
        log.warning("no Landlock on %s: the reader's statements run without a fence around the process", sys.platform)
        return False
    version = _call(_CREATE_RULESET, None, 0, _ASK_VERSION)
    if version < 1:
        log.warning("no Landlock in this kernel: the reader's statements run without a fence around the process")
        return False
    handled = _ALL_ABI_1 | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    network = _CONNECT_TCP if version >= 4 else 0
    attributes = struct.pack("QQ", handled, network) if version >= 4 else struct.pack("Q", handled)
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        log.warning("Landlock refuses a ruleset: %s", os.strerror(ctypes.get_errno()))
        return False
    try:
        _allow(ruleset, [writable], handled)
        _allow(ruleset, [Path("/dev/null"), Path("/dev/urandom"), Path("/dev/zero")], _READ_FILE | _WRITE_FILE)
        _allow(ruleset, _readable(), _READ & handled)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or _call(_RESTRICT_SELF, ruleset, 0, 0):
            log.warning("Landlock cannot be put up: %s", os.strerror(ctypes.get_errno()))
            return False
    finally:
        os.close(ruleset)
    log.info("fenced by Landlock %d%s", version, "" if network else ", outgoing connections are not denied")
    return True


def _readable() -> Iterable[Path]:
    """Libraries, Python and this package, clocks and time zones, and what the engine asks of the system."""
    package = Path(__file__).resolve().parents[2]  # …/causeline
    python = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *site.getsitepackages()}
    system = (
        "/usr",
        "/lib",
        "/lib64",
        "/lib32",
        "/proc",
        "/sys",
        "/etc/localtime",
        "/etc/timezone",
        "/etc/ld.so.cache",
    )
    return [package, *(Path(path) for path in (*python, *system))]


def _allow(ruleset: int, paths: Iterable[Path], access: int) -> None:
    for path in paths:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # what is not there needs no rule
        try:
            rule = struct.pack("=Qi", access if path.is_dir() else access & _FILE_ONLY, descriptor)
            _call(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
        finally:
            os.close(descriptor)


def _call(number: int, *arguments: int | bytes | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return int(libc.syscall(ctypes.c_long(number), *(_argument(value) for value in arguments)))


def _argument(value: int | bytes | None) -> object:
    if isinstance(value, int):
        return ctypes.c_long(value)
    return ctypes.c_char_p(value)
