"""What may be chosen about the console's HTTP service."""

import ipaddress
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from causeline.runtime.settings import ListenerSettings


class ServeSettings(ListenerSettings):
    """Settings of `causeline serve`, each also read from `CAUSELINE_SERVE_<NAME>`."""

    prefix: ClassVar = "CAUSELINE_SERVE_"

    port: int = Field(default=8080, ge=0, le=65535)
    """0 is a free one."""
    token: SecretStr | None = None
    """Asked of every request but /healthz: as a bearer token, or as the password of basic authentication."""
    allowed_hosts: tuple[str, ...] = ()
    """Names a request may be addressed to, beside the loopback ones; on other addresses empty means any."""
    free_reading: bool = False
    """Whether anybody on this machine may read without signing in, where only this machine reaches the address."""
    ui: bool = True
    """Whether there are pages for people; without them the API and the registry are left."""
    root_path: str = ""
    """The path below which a proxy serves this, e.g. `/causeline`."""
    token_roles: tuple[Literal["viewer", "reviewer", "operator", "content"], ...] = (
        "viewer",
        "reviewer",
        "operator",
        "content",
    )
    """What whoever has the token may do."""
    user_header: str = ""
    """The header in which a trusted proxy says who asks, e.g. `X-Forwarded-User`."""
    groups_header: str = ""
    """The header in which a trusted proxy says that person's groups, joined by commas."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of the proxies whose headers count, e.g. `10.0.0.0/8`."""
    viewer_groups: tuple[str, ...] = ("*",)
    """Groups whose people may read what is on record; `*` is everybody that the proxy lets in."""
    reviewer_groups: tuple[str, ...] = ()
    """Groups whose people may take and decide review items."""
    operator_groups: tuple[str, ...] = ()
    """Groups whose people may replay dead letters and acknowledge alerts."""
    content_groups: tuple[str, ...] = ()
    """Groups whose people may read what artifacts hold."""
    identity_key: SecretStr | None = None
    """Key by which a person becomes a reviewer's id; change it and the same person gets another id."""

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for each in proxies:
            try:
                ipaddress.ip_network(each, strict=False)
            except ValueError:
                raise ValueError(f"{each[:60]!r} is no address and no network") from None
        return proxies

    @field_validator("root_path")
    @classmethod
    def _is_path(cls, path: str) -> str:
        if path and not (path.startswith("/") and not path.endswith("/")):
            raise ValueError("begins with a slash and does not end with one, e.g. /causeline")
        return path

    def identity_secret(self) -> str | None:
        """The key of reviewers' ids; None where there is none of their own."""
        return (self.identity_key.get_secret_value() or None) if self.identity_key else None
