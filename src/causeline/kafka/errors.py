"""What Kafka's client complains of, in one sentence with the way out, for every part that connects."""

from typing import Protocol

from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import EnvironmentFault, Unreachable

_LOG_IN = frozenset({"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED"})
_FINAL = _LOG_IN | {"_SSL"}
"""What waiting does not mend."""


class ClientError(Protocol):
    """A `confluent_kafka.KafkaError`."""

    def name(self) -> str:
        """Its code's name."""


class Complaints:
    """Hears a client's errors: the call that fails later says only that nothing answered.

    Give `hear` to the client as its `error_cb`.
    """

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._names: set[str] = set()

    def hear(self, error: ClientError) -> None:
        """Note an error; what a later call makes of it is up to that."""
        self._names.add(error.name())

    @property
    def are_final(self) -> bool:
        """Whether something was heard that waiting does not mend."""
        return bool(self._names & _FINAL)

    def unreachable(self) -> Unreachable:
        """Why Kafka cannot be used, as far as was heard."""
        return unreachable(self._connection, self._names)


def way_out(connection: KafkaConnection, name: str) -> str | None:
    """The sentences for an error that does not mend itself; None for one that may."""
    if name not in _FINAL:
        return None
    error = unreachable(connection, {name})
    return f"{error} {error.hint}"


def unreachable(connection: KafkaConnection, names: set[str]) -> Unreachable:
    """The error for what the client's errors of these names say of `connection`."""
    where = connection.bootstrap_servers
    if names & _LOG_IN:
        who = f" {connection.sasl_username!r}" if connection.sasl_username else ""
        return Unreachable(
            f"Kafka at {where} does not let{who or ' us'} in.",
            hint="Check CAUSELINE_KAFKA_SASL_USERNAME, …_PASSWORD and …_MECHANISM.",
        )
    if "_SSL" in names:
        return Unreachable(
            f"Kafka at {where} and this client do not agree on TLS.",
            hint="Does CAUSELINE_KAFKA_SSL_CA_LOCATION name the authority of its certificate? "
            "Check CAUSELINE_KAFKA_SECURITY_PROTOCOL too.",
        )
    return Unreachable(
        f"Kafka does not answer at {where}.",
        hint="Is it running? Check CAUSELINE_KAFKA_BOOTSTRAP_SERVERS and …_SECURITY_PROTOCOL.",
    )


def not_allowed(connection: KafkaConnection, topic: str) -> EnvironmentFault:
    """The error for a topic that this user may not even see."""
    who = repr(connection.sasl_username) if connection.sasl_username else "this client"
    return EnvironmentFault(
        f"Kafka does not let {who} use the topic {topic}.", hint="Grant it: deploy/kafka/acls.sh has the rights."
    )
