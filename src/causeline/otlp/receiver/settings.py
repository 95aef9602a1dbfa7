"""The receiver's settings: `CAUSELINE_RECEIVE_…`."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AliasChoices, Field, SecretStr

from causeline.otlp.receiver.rules import Rules, UserIds
from causeline.runtime.settings import ListenerSettings
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


class ReceiverSettings(ListenerSettings):
    """How OTLP is received."""

    prefix: ClassVar = "CAUSELINE_RECEIVE_"

    port: Annotated[int, Field(ge=0, le=65535)] = 4318
    """Port of OTLP/HTTP; 0 is a free one."""
    grpc_port: Annotated[int, Field(ge=-1, le=65535)] = 4317
    """Port of OTLP/gRPC; 0 is a free one, -1 none."""
    tls_certificate: Path | None = None
    """PEM file with the server's certificate chain; with it, both ports speak TLS."""
    tls_key: Path | None = None
    """PEM file with its private key."""
    project: Name = Field(
        default="default", validation_alias=AliasChoices("CAUSELINE_RECEIVE_PROJECT", "CAUSELINE_PROJECT")
    )
    """Owner of runs whose resource names none (`causeline.project`, `openinference.project.name`)."""
    content: KeepContent = KeepContent.STORE
    """Whether content goes to the artifact store, or is dropped."""
    mask: str | None = None
    """`module:function`, called with an attribute's key and text before it is stored; gives what to keep, or None."""
    labels: Annotated[str, Field(max_length=4096)] = ""
    """Attribute keys, by commas, whose words travel as labels besides those of the table; `shop.*` is all of shop's."""
    decisions: bool = False
    """Whether reviews and evals that spans tell count; else they are set aside: who may send spans could tell any."""
    user_ids: UserIds = UserIds.HASH
    """What becomes of users' ids: `hash`, `keep` (the label `user.id`) or `drop`."""
    user_key: SecretStr | None = None
    """Key of the hash of users' ids: receivers of one key give one user one hash; without it a process has its own."""
    marks: bool = True
    """Whether words of unlisted keys travel as keyed marks (`~1f0c93aa`), to compare runs by; only with a user key."""
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

    def check(self) -> None:
        """Raises UsageError where the settings cannot stand together."""
        super().check()
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise UsageError("TLS needs both a certificate and its key: CAUSELINE_RECEIVE_TLS_CERTIFICATE and …_KEY.")

    def rules(self) -> Rules:
        """What the mapping is told."""
        labels = tuple(each.strip() for each in self.labels.split(",") if each.strip())
        rules = Rules(project=self.project, labels=labels, user_ids=self.user_ids)
        key = self.user_key.get_secret_value() if self.user_key else ""
        return replace(rules, user_key=key.encode(), marks=self.marks) if key else rules
