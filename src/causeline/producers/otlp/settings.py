"""The receiver's settings: `CAUSELINE_RECEIVE_…`."""

import ipaddress
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from causeline.schemas.connections import load_from_environment
from causeline.schemas.errors import UsageError
from causeline.schemas.events import Name

MIB = 1024 * 1024


class KeepContent(StrEnum):
    """What becomes of prompts, completions, tool arguments and documents that spans carry."""

    STORE = "store"  # they go to the artifact store, and references travel
    DROP = "drop"  # they are dropped, and counted


class KafkaEncoding(StrEnum):
    """How a topic's messages are written, in the words of the Collector's Kafka exporter."""

    PROTOBUF = "otlp_proto"
    JSON = "otlp_json"


class ReceiverSettings(BaseModel):
    """How OTLP is received."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    """Address to listen on; one that is not loopback needs a token."""
    port: Annotated[int, Field(ge=0, le=65535)] = 4318
    """Port of OTLP/HTTP; 0 is a free one."""
    grpc_port: Annotated[int, Field(ge=-1, le=65535)] = 4317
    """Port of OTLP/gRPC; 0 is a free one, -1 none."""
    token: SecretStr | None = None
    """Asked of every request: as a bearer token, or as the password of basic authentication."""
    token_file: Path | None = None
    """A file that holds the token; used where `token` is not set."""
    tls_certificate: Path | None = None
    """PEM file with the server's certificate chain; with it, both ports speak TLS."""
    tls_key: Path | None = None
    """PEM file with its private key."""
    project: Name = "default"
    """Owner of runs whose resource names none (`causeline.project`, `openinference.project.name`)."""
    content: KeepContent = KeepContent.STORE
    """Whether content goes to the artifact store, or is dropped."""
    mask: str | None = None
    """`module:function`, called with an attribute's key and text before it is stored; gives what to keep, or None."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=1024 * MIB)] = 64 * MIB
    """Largest request, after decompression; a larger one is answered with 413."""
    max_pending_bytes: Annotated[int, Field(ge=1024)] = 128 * MIB
    """Requests under way may hold so much together; the next is answered with 503 and Retry-After."""
    body_timeout_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """How long a client may take to send its request."""
    durable_timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """How long a request may wait for Kafka to have its events; then it is answered with 503 and sent again."""

    kafka_topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")] | None = None
    """A topic to read besides: what the Collector's Kafka exporter writes (`otlp_spans`); none where it is not set."""
    kafka_encoding: KafkaEncoding = KafkaEncoding.PROTOBUF
    """Its messages: `otlp_proto` or `otlp_json`, as the exporter's `encoding` says."""
    kafka_group: Annotated[str, Field(min_length=1)] | None = None
    """Consumer group; by default the topic prefix and `.receiver`. Receivers of one group share the partitions."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """From `CAUSELINE_RECEIVE_PORT` and its like; raises UsageError naming what is wrong."""
        variables = dict(os.environ if environment is None else environment)
        if project := variables.get("CAUSELINE_PROJECT"):
            variables.setdefault("CAUSELINE_RECEIVE_PROJECT", project)
        settings = load_from_environment(cls, "CAUSELINE_RECEIVE", variables)
        settings.check()
        return settings

    def check(self) -> None:
        """Raises UsageError where the settings cannot stand together."""
        if not self.is_loopback and not self.secret():
            raise UsageError(
                f"Listening on {self.host} needs a token, because it can be reached from other machines.",
                hint="Set CAUSELINE_RECEIVE_TOKEN or CAUSELINE_RECEIVE_TOKEN_FILE, or listen on 127.0.0.1.",
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise UsageError("TLS needs both a certificate and its key: CAUSELINE_RECEIVE_TLS_CERTIFICATE and …_KEY.")

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
            raise UsageError(f"CAUSELINE_RECEIVE_TOKEN_FILE cannot be read: {error.strerror}.") from error
