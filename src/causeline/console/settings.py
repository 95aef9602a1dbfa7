"""What may be chosen about the console's HTTP service."""

import ipaddress
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from causeline.schemas.errors import UsageError


class ServeSettings(BaseSettings):
    """Settings of `causeline serve`, each also read from `CAUSELINE_SERVE_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="CAUSELINE_SERVE_", extra="forbid", frozen=True, env_ignore_empty=True)

    host: str = "127.0.0.1"
    """Address to listen on; one that is not loopback needs a token."""
    port: int = Field(default=8080, ge=0, le=65535)
    """0 is a free one."""
    token: SecretStr | None = None
    """Asked of every request but /healthz: as a bearer token, or as the password of basic authentication."""
    token_file: Path | None = None
    """A file that holds the token; used where `token` is not set."""
    allowed_hosts: tuple[str, ...] = ()
    """Names a request may be addressed to, beside the loopback ones; on other addresses empty means any."""

    @classmethod
    def of(cls, *, host: str | None = None, port: int | None = None) -> Self:
        """What was chosen over the environment over the defaults; raises UsageError naming what is wrong."""
        chosen = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
        try:
            settings = cls(**chosen)  # type: ignore[arg-type]
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            name = str(first["loc"][0]) if first["loc"] else "settings"
            raise UsageError(f"{name}: {first['msg']}.", hint=f"See CAUSELINE_SERVE_{name.upper()}.") from None
        if not settings.is_loopback and not settings.secret():
            raise UsageError(
                f"Listening on {settings.host} needs a token, because it can be reached from other machines.",
                hint="Set CAUSELINE_SERVE_TOKEN or CAUSELINE_SERVE_TOKEN_FILE, or listen on 127.0.0.1.",
            )
        return settings

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def secret(self) -> str | None:
        """The token, read now where it is in a file; raises UsageError when the file cannot be read."""
        if self.token is not None:
            return self.token.get_secret_value() or None
        if self.token_file is None:
            return None
        try:
            return self.token_file.read_text("utf-8").strip() or None
        except OSError as error:
            raise UsageError(f"CAUSELINE_SERVE_TOKEN_FILE cannot be read: {error.strerror}.") from error
