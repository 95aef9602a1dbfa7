"""Which schema ids may stand in a message: the bundled ones, and a registry's where one is configured."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from causeline.schemas import catalogue
from causeline.schemas.catalogue import SchemaVersion
from causeline.schemas.errors import EnvironmentFault, Reason, Unreachable, UnreadableMessage
from causeline.schemas.topics import Topic


@dataclass(frozen=True, slots=True)
class Schemas:
    """The ids to write with and to accept, by subject.

    Readers accept the bundled ids always, so that a topic written while the registry was away is readable for good.
    """

    write_ids: Mapping[str, int] = field(default_factory=dict)
    registered: Mapping[int, SchemaVersion] = field(default_factory=dict)

    def write_id(self, subject: str) -> int:
        """The id to put before a value of `subject`."""
        return self.write_ids.get(subject, catalogue.latest(subject).schema_id)

    def resolve(self, schema_id: int, subject: str) -> SchemaVersion:
        """The writer's schema of an id; raises UnreadableMessage unless it is one of `subject`."""
        schema = catalogue.bundled().get(schema_id) or self.registered.get(schema_id)
        if schema is None or schema.subject != subject:
            raise UnreadableMessage(
                Reason.UNKNOWN_SCHEMA,
                f"Schema id {schema_id} is not a version of {subject}.",
                schema_id=schema_id,
            )
        return schema


def schemas_of(url: str | None, topics: Iterable[Topic], prefix: str) -> Schemas:
    """The schemas to read and write these topics by: a registry's beside the bundled ones, where one is named.

    Raises what `from_registry` raises. Of topics that share a subject the last gives its name.
    """
    if url is None:
        return Schemas()
    return from_registry(url, {topic.subject: f"{topic.full_name(prefix)}-value" for topic in topics})


def from_registry(url: str, subject_names: Mapping[str, str]) -> Schemas:
    """Register every bundled version in a Confluent-compatible registry and take its ids.

    `subject_names` maps our subjects to the registry's (topic name strategy: `causeline.events-value`).
    Registering what is registered changes nothing. Raises Unreachable, or EnvironmentFault without its extra.
    """
    try:
        from confluent_kafka.schema_registry import Schema, SchemaRegistryClient  # noqa: PLC0415 - optional extra
    except ImportError as error:
        raise EnvironmentFault(
            "A schema registry is configured, but its client is not installed.",
            hint="pip install 'causeline[registry]', or unset CAUSELINE_REGISTRY_URL.",
        ) from error
    write_ids: dict[str, int] = {}
    registered: dict[int, SchemaVersion] = {}
    try:
        with SchemaRegistryClient({"url": url}) as client:
            for subject, registry_subject in subject_names.items():
                for schema in catalogue.versions(subject):
                    schema_id = client.register_schema(registry_subject, Schema(schema.text, "AVRO"))
                    registered[schema_id] = schema
                    write_ids[subject] = schema_id
    except Exception as error:  # the client lets its HTTP library's own errors through, whichever that is
        raise Unreachable(
            "The schema registry does not answer as one.", hint="Check CAUSELINE_REGISTRY_URL, or unset it."
        ) from error
    return Schemas(write_ids=write_ids, registered=registered)
