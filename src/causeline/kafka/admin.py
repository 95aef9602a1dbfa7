"""The admin client, and its faults in words; what imports this loads the client only when it asks."""

from typing import TYPE_CHECKING, Any

from causeline.kafka.errors import Complaints
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import CauselineError, EnvironmentFault, Unreachable

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

LOOK_UP_TIMEOUT_S = 5.0
"""How long the first answer of a broker may take."""


def unreachable(error: Exception, admin: "AdminClient | None" = None) -> CauselineError:
    """What librdkafka says, as a sentence; of an `admin_client` also what it complained of in between."""
    told = error.args[0] if error.args else None
    if told is not None and told.name().endswith("_AUTHORIZATION_FAILED"):
        return EnvironmentFault(
            f"Kafka does not allow this user to do that ({told.name()}).",
            hint="Use a user with the right to, or grant it: deploy/kafka/acls.sh has the rights.",
        )
    complaints: Complaints | None = getattr(admin, "complaints", None)
    if admin is not None and complaints is not None:
        admin.poll(0)
        return complaints.unreachable()
    return Unreachable(f"Kafka does not answer: {told.str() if told else error}.", hint="causeline status")


def admin_client(connection: KafkaConnection) -> "AdminClient":
    """An admin client that keeps librdkafka's own words to itself; what fails is raised."""
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - slow to load

    complaints = Complaints(connection)
    own: dict[str, Any] = {"log_level": "0", "socket.timeout.ms": "10000", "error_cb": complaints.hear}
    admin = AdminClient({**connection.client_config(), **own})
    admin.complaints = complaints  # type: ignore[attr-defined] # goes with the client to where it fails
    return admin
