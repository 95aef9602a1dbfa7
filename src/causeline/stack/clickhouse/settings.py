"""What the embedded server can be told, from `CAUSELINE_ENGINE_…` variables."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from causeline.runtime.settings import Settings
from causeline.schemas.errors import UsageError


class ServerSettings(Settings):
    """The embedded server's place, address, users and limits."""

    prefix: ClassVar = "CAUSELINE_ENGINE_"

    server_path: Path = Field(
        validation_alias="CAUSELINE_ENGINE_PATH", description="The data folder; made private (0700)."
    )
    server_host: str = Field(
        default="127.0.0.1",
        validation_alias="CAUSELINE_ENGINE_HOST",
        description="The address to listen on; keep it on the loopback.",
    )
    server_port: int = Field(
        default=8123,
        validation_alias="CAUSELINE_ENGINE_PORT",
        ge=0,
        le=65535,
        description="The port; 0 takes a free one.",
    )
    user: str = Field(default="causeline", min_length=1, description="The user who may do everything.")
    password_file: Path = Field(description="The file with that user's password.")
    reader_user: str = Field(default="reader", min_length=1, description="The user who may only read.")
    reader_password_file: Path | None = Field(
        default=None, description="The file with the reader's password; without it there is no reader."
    )
    max_queries: int = Field(default=16, ge=1, le=256, description="Statements that run at the same time.")
    reader_queries: int = Field(
        default=8, ge=1, le=256, description="Statements of the reader that run at the same time, besides the others."
    )
    max_waiting: int = Field(default=64, ge=0, description="Requests that may wait for their turn.")
    wait_timeout_s: float = Field(
        default=10.0, gt=0, description="How long one waits before it is refused, in seconds."
    )
    body_limit_bytes: int = Field(default=256 << 20, ge=1 << 20, description="The largest decompressed request body.")
    body_timeout_s: float = Field(
        default=30.0, gt=0, description="The longest silence inside a request body, in seconds."
    )
    send_timeout_s: float = Field(
        default=120.0, gt=0, description="How long a client may take for a piece of a result, in seconds."
    )
    stop_timeout_s: float = Field(
        default=20.0, gt=0, description="How long running requests may go on after SIGTERM, in seconds."
    )
    reader_memory_bytes: int = Field(
        default=2 << 30, ge=1 << 20, description="Memory that one statement of the reader may use."
    )
    reader_time_s: int = Field(
        default=60, ge=1, description="Time that one statement of the reader may take, in seconds."
    )
    reader_result_rows: int = Field(
        default=1_000_000, ge=1, description="Rows that one statement of the reader may return."
    )

    @field_validator("server_path", "password_file", "reader_password_file")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path.absolute() if path else None


def read_password(path: Path) -> str:
    """The password in `path`, without surrounding space. Raises UsageError when there is none."""
    try:
        password = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"The password file {path} cannot be read: {reason}.") from error
    if not password:
        raise UsageError(f"The password file {path} is empty.", hint="Write one line of random text to it, mode 0600.")
    return password
