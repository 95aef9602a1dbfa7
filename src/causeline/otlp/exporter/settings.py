"""The exporter's settings: `CAUSELINE_EXPORT_…`."""

from typing import Annotated, ClassVar

from pydantic import Field, SecretStr, field_validator

from causeline.otlp.exporter.span_attributes import Style
from causeline.runtime.settings import Settings
from causeline.schemas.errors import UsageError
from causeline.schemas.topics import DEFAULT_PREFIX, TopicPrefix


class ExporterSettings(Settings):
    """Where runs are sent as traces, and how."""

    prefix: ClassVar = "CAUSELINE_EXPORT_"

    endpoint: str = "http://127.0.0.1:4318"
    """The backend's or collector's OTLP/HTTP address; `/v1/traces` is added where it has no path."""
    headers: SecretStr = SecretStr("")
    """Sent with each request, as key=value,key=value: API keys mostly. Better from a file: `…_HEADERS_FILE`."""
    style: Style = Style.BOTH
    """Whose attribute names: genai, openinference or both."""
    group: Annotated[str, Field(min_length=1, max_length=200)] = "causeline-export"
    """Consumer group; a second backend needs one of its own."""
    topic_prefix: TopicPrefix = Field(default=DEFAULT_PREFIX, validation_alias="CAUSELINE_TOPIC_PREFIX")
    """What the topics' names start with."""
    batch_spans: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Spans of one request at most; a run is never cut."""
    batch_bytes: Annotated[int, Field(ge=1024)] = 3 * 1024 * 1024
    """Bytes of one request at most, before compression; a larger run is cut to its root and its first steps."""
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """How long one request may take."""
    retry_max_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Longest pause between two attempts; a backend that is away is asked until it is back."""

    @field_validator("endpoint")
    @classmethod
    def _address(cls, endpoint: str) -> str:
        if not endpoint.startswith(("http://", "https://")):
            raise ValueError("an endpoint begins with http:// or https://")
        return endpoint.rstrip("/")

    @property
    def url(self) -> str:
        """Where traces are posted."""
        _, _, rest = self.endpoint.partition("://")
        return self.endpoint if "/" in rest else f"{self.endpoint}/v1/traces"

    def header_pairs(self) -> dict[str, str]:
        """The headers; raises UsageError where they are no pairs, without showing them."""
        pairs = {}
        for part in filter(None, (each.strip() for each in self.headers.get_secret_value().split(","))):
            key, sign, value = part.partition("=")
            if not sign or not key.strip():
                raise UsageError("CAUSELINE_EXPORT_HEADERS is not key=value,key=value.")
            pairs[key.strip()] = value.strip()
        return pairs
