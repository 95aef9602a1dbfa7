"""Settings of whoever reads topics as a member of a consumer group: workers, loaders, amenders."""

from typing import ClassVar

from pydantic import Field

from causeline.runtime.connections import KafkaConnection
from causeline.runtime.settings import Settings
from causeline.schemas.topics import DEFAULT_PREFIX, TopicPrefix


class GroupSettings(Settings):
    """Which topics of which cluster, and as which member of which group."""

    role: ClassVar[str]
    """What follows the prefix in the name of the part's own group."""

    kafka: KafkaConnection = Field(default_factory=KafkaConnection)
    """Where the topics are, as `CAUSELINE_KAFKA_…` says."""
    topic_prefix: TopicPrefix = Field(default=DEFAULT_PREFIX, validation_alias="CAUSELINE_TOPIC_PREFIX")
    """What the topics' names start with."""
    registry_url: str | None = Field(default=None, validation_alias="CAUSELINE_REGISTRY_URL")
    """A Confluent-compatible registry whose schema ids are accepted beside the bundled ones."""
    group_id: str | None = Field(default=None, min_length=1)
    """The consumer group that shares the partitions; by default the topic prefix and the part's name."""
    instance: str | None = Field(default=None, min_length=1)
    """A stable name, unique in its group: restarted soon enough, it takes up its own partitions and moves no others."""
    session_timeout_s: float = Field(default=10, ge=6)
    """A member silent for so long loses its partitions to the others."""

    @property
    def group(self) -> str:
        """The consumer group's name."""
        return self.group_id or f"{self.topic_prefix}.{self.role}"
