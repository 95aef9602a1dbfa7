"""The Faust app: what it takes to read batches safely with it, in one place.

Each setting that is not Faust's default is there because its default was seen to lose, freeze or double something.
"""

import ssl
from collections.abc import Sequence

import faust
import faust.streams
from faust.auth import Credentials, SASLCredentials, SSLCredentials

from causeline.schemas.connections import KafkaConnection
from causeline.schemas.errors import EnvironmentFault
from causeline.streams.settings import WorkerSettings

HEARTBEAT_S = 2.0
METADATA_MAX_AGE_S = 5.0
"""A broker that has just come back may know of no topic yet, and the group's leader then gives nobody anything: it asks
again so often, and gives anew when there is more to give. aiokafka's own five minutes are an outage."""


def require_compiled_streams() -> None:
    """Raise EnvironmentFault unless Faust's compiled streams are there: its Python ones acknowledge what they skip."""
    if getattr(faust.streams, "_CStreamIterator", None) is None:  # nothing public tells
        raise EnvironmentFault(
            "Faust's compiled streams are missing, and its plain ones may lose messages.",
            hint="Install a faust-streaming wheel for this platform, or unset NO_CYTHON.",
        )


def build_app(settings: WorkerSettings, *, data_folder: str) -> faust.App:
    """The app of a worker. It reads no command line, opens no port and declares no topic."""
    app = faust.App(
        settings.group,
        broker=_brokers(settings.kafka),
        broker_credentials=_credentials(settings.kafka),
        key_serializer="raw",  # a decoding error inside Faust would acknowledge the message
        value_serializer="raw",
        store="memory://",
        datadir=data_folder,
        autodiscover=False,
        web_enabled=False,  # said again below: the App's own default may win
        topic_disable_leader=True,  # no topics of Faust's own
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,  # else a rebalance, and SIGTERM, wait for open runs
        broker_commit_interval=1.0,  # what was acknowledged since is lost at a rebalance
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=HEARTBEAT_S,
        broker_rebalance_timeout=max(15.0, 1.5 * settings.session_timeout_s),
        consumer_metadata_max_age_ms=round(METADATA_MAX_AGE_S * 1000),
        consumer_group_instance_id=settings.instance,
        table_standby_replicas=0,  # else Faust's own assignor comes in, which spreads partitions unevenly
        stream_buffer_maxsize=64,  # Faust fetches on however much is unacknowledged
        broker_max_poll_records=200,
    )
    app.conf.web_enabled = False
    return app


def _brokers(connection: KafkaConnection) -> Sequence[str]:
    return [f"kafka://{server.strip()}" for server in connection.bootstrap_servers.split(",")]


def _credentials(connection: KafkaConnection) -> Credentials | None:
    encrypted = connection.security_protocol in {"SSL", "SASL_SSL"}
    context = _tls(connection) if encrypted else None
    if connection.security_protocol in {"SASL_PLAINTEXT", "SASL_SSL"}:
        return SASLCredentials(
            username=connection.sasl_username,
            password=connection.sasl_password.get_secret_value() if connection.sasl_password else None,
            mechanism=connection.sasl_mechanism or "PLAIN",
            ssl_context=context,
        )
    return SSLCredentials(context) if context is not None else None


def _tls(connection: KafkaConnection) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=connection.ssl_ca_location)
        if connection.ssl_certificate_location:
            context.load_cert_chain(connection.ssl_certificate_location, connection.ssl_key_location)
    except (OSError, ssl.SSLError) as error:
        raise EnvironmentFault(
            f"The TLS files for Kafka cannot be used: {error}.", hint="Check the CAUSELINE_KAFKA_SSL_… settings."
        ) from error
    return context
