"""The Faust app: what it takes to read batches safely with it, in one place.

Each setting that is not Faust's default is there because its default was seen to lose, freeze or double something. Its
consumer differs in five ways from Faust's:

1. It commits what the joiner says may be committed. Faust's own reckoning goes over one hole in the offsets a commit,
   so that behind a transactional producer the committed offset falls back without end.
2. It remembers what the log itself lacks, so that a hole in the log is told from a message that Faust left out.
3. It reads what is committed, as all our other readers do: what a transactional producer took back was never said.
   It reads from the copy in its own rack, too, which Faust has no setting for.
4. Beside the offset it commits the topic's id, and begins at the start where another topic's stands (`kafka.identity`).
5. It begins at the start, too, where nothing is committed yet, after each rebalance.
"""

import logging
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import aiokafka
import faust
import faust.streams
from aiokafka.errors import CommitFailedError, IllegalStateError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.auth import Credentials, SASLCredentials, SSLCredentials
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from causeline.kafka.identity import is_of_another
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import EnvironmentFault
from causeline.streams.worker.reading import Reading
from causeline.streams.worker.settings import WorkerSettings

log = logging.getLogger(__name__)

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


def build_app(settings: WorkerSettings, *, data_folder: str, topic_id: str = "") -> faust.App:
    """The app of a worker. It reads no command line, opens no port and declares no topic.

    `topic_id` is that of the events topic; empty where it is not known.
    """
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
        stream_buffer_maxsize=16,  # Faust fetches on however much is unacknowledged; a message may have a megabyte
        broker_max_poll_records=16,
    )
    app.conf.web_enabled = False
    app.transport = _LogTransport(app.conf.broker_consumer, app)
    app.transport.topic_id = topic_id
    app.transport.rack = settings.kafka.client_rack
    return app


class LogConsumer(driver.Consumer):
    """Faust's consumer, which knows what the log lacks and commits what it is told."""

    def __init__(self, *given: object, **named: object) -> None:
        super().__init__(*given, **named)
        self.reading = Reading()
        self.committable: Callable[[int], int | None] = lambda _partition: None
        """By partition, the offset before which all is done."""

    def waiting(self, tp: TP, next_offset: int | None) -> int:
        """Messages that are there and were not taken in; of a partition that is not open (None) at least one, if any.

        Where messages were given and the partition is not open yet they wait; where none was, those do that the client
        has still to ask for.
        """
        end: int | None = self._client.last_stable_offset(tp)
        if end is None or end <= 0:
            return 0
        if next_offset is not None:
            return max(0, end - next_offset)
        if self.reading.has_given(tp.partition):
            return 1
        position = self._position(tp)
        return 0 if position is None else max(0, end - position)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, list[Any]]:  # noqa: ASYNC109
        given: Mapping[TP, list[Any]] = await super()._getmany(active_partitions, timeout)
        for tp, records in given.items():
            self.reading.gave(tp.partition, [record.offset for record in records])
        if not given and self.flow_active:  # nobody else asks the client, so that it has given all before its position
            for tp in self.assignment():
                position = self._position(tp)
                if position is not None:
                    self.reading.stands_at(tp.partition, position)
        return given

    @property
    def _client(self) -> aiokafka.AIOKafkaConsumer:
        return self._thread._ensure_consumer()  # noqa: SLF001 - as Faust's consumer does

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _LogThread(self, loop=self.loop, beacon=self.beacon)

    def _position(self, tp: TP) -> int | None:
        """The offset that the client asks for next; None while it does not know."""
        subscription = self._client._subscription.subscription  # noqa: SLF001 - its public way waits
        assignment = None if subscription is None else subscription.assignment
        if assignment is None or tp not in assignment.tps:
            return None
        state = assignment.state_value(tp)
        return state.position if state.has_valid_position else None

    def _filter_tps_with_pending_acks(self, topics: object = None) -> Iterator[TP]:
        return iter(self.assignment())

    def _new_offset(self, tp: TP) -> int | None:
        for book in (self._acked, self._acked_index, self._gap):
            book.pop(tp, None)
        return self.committable(tp.partition)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing: Faust's own book of holes is not kept."""


class _LogThread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        client = super()._create_worker_consumer(transport)
        client._isolation_level = "read_committed"  # noqa: SLF001 - Faust asks for it only with transactions of its own
        client._client_rack = cast("_LogTransport", self.transport).rack  # noqa: SLF001 - set before its fetcher is made
        return client

    @property
    def _topic_id(self) -> str:
        return cast("_LogTransport", self.transport).topic_id

    async def seek_to_committed(self) -> Mapping[TP, int]:
        found: Mapping[TP, int] = await self.call_thread(self._seek)
        return found

    async def _seek(self) -> Mapping[TP, int]:
        client = self._ensure_consumer()
        offsets = dict(await client.seek_to_committed())
        await self._seek_to_the_start(client, [place for place, offset in offsets.items() if not offset])
        told = await client._coordinator.fetch_committed_offsets(list(offsets))  # noqa: SLF001 - the rest is private too
        for place, committed in told.items():
            if is_of_another(committed.metadata, self._topic_id):
                log.warning(
                    "topic %s was deleted and made again since offset %d of partition %d was committed: read from its"
                    " start",
                    place.topic,
                    committed.offset,
                    place.partition,
                )
                await client.seek_to_beginning(place)
                offsets[place] = await client.position(place)
        return offsets

    async def _seek_to_the_start(self, client: aiokafka.AIOKafkaConsumer, places: Sequence[TP]) -> None:
        """Of what has no commit: Faust leaves it where it is, which may be past what a question of before the rebalance
        was given after it, and that is thrown away."""
        if places:
            await client.seek_to_beginning(*places)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        client, ours = self._ensure_consumer(), self.assignment()
        stamped = {
            TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, self._topic_id)
            for tp, offset in offsets.items()
            if tp in ours
        }
        try:
            await client.commit(stamped)
        except (CommitFailedError, IllegalStateError) as error:
            log.warning("offsets were not committed, since the group shares its work anew: %s", error)
            return False
        except Exception as error:  # noqa: BLE001 - as Faust does: the worker ends, and its successor reads again
            await self.crash(error)
            return False
        return True


class _LogTransport(driver.Transport):
    Consumer = LogConsumer
    topic_id = ""
    rack: str | None = None


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
