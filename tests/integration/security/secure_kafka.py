"""The real broker with a second listener: TLS, users by SCRAM-SHA-512, and the rights of deploy/kafka/acls.sh."""

import os
import secrets
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)
from pydantic import SecretStr

from causeline.runtime.connections import KafkaConnection
from causeline.schemas.topics import TOPICS
from causeline.stack.kafka import class_path, find_java
from causeline.stack.kafka.broker import BrokerConfig, Listener, command, environment, prepare
from causeline.stack.ports import LOOPBACK, free_ports
from causeline.stack.waiting import wait_until
from tests.integration.security.certificates import Certificates, make_certificates

ACLS = Path(__file__).parents[3] / "deploy" / "kafka" / "acls.sh"
PARTS = ("emitter", "receiver", "worker", "loader", "amender", "diagnoser", "watch", "exporter", "replayer", "console")
USERS = (*PARTS, "operator", "nobody")
PARTITIONS = 2
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


@dataclass(frozen=True)
class SecureKafka:
    """Where the listener is, who may log in, and a way in past all rights for the test itself."""

    port: int
    plain: KafkaConnection
    certificates: Certificates
    passwords: dict[str, str]

    def environment(self, user: str, **changed: str) -> dict[str, str]:
        """The variables by which a part of ours logs in as `user`; its password comes from a file."""
        file = self.certificates.key.parent / f"{user}.password"
        file.touch(mode=0o600)
        file.write_text(self.passwords[user], "utf-8")
        return {
            "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{self.port}",
            "CAUSELINE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "CAUSELINE_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "CAUSELINE_KAFKA_SASL_USERNAME": user,
            "CAUSELINE_KAFKA_SASL_PASSWORD_FILE": str(file),
            "CAUSELINE_KAFKA_SSL_CA_LOCATION": str(self.certificates.authority),
            **changed,
        }

    def connection(self, user: str, **changed: str) -> KafkaConnection:
        """The same as a connection."""
        return KafkaConnection.from_environment(self.environment(user, **changed))

    def with_wrong_password(self, user: str) -> KafkaConnection:
        """As somebody who guesses."""
        return self.connection(user).model_copy(update={"sasl_password": SecretStr("wrong-" + self.passwords[user])})


@contextmanager
def secure_kafka(folder: Path, *, has_topics: bool = True) -> Iterator[SecureKafka]:
    """A broker with users, rights and, if it shall, our topics, for the length of the block."""
    certificates = make_certificates(folder / "certificates")
    port, controller_port, secure_port = free_ports(3)
    options = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates.both),
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "scram-sha-512.sasl.jaas.config": _SCRAM,
    }
    listener = Listener("SECURE", "SASL_SSL", secure_port, tuple(options.items()))
    config = BrokerConfig(folder / "kafka", port, controller_port, PARTITIONS, (listener,))
    java, jars = find_java(), class_path()
    config.folder.mkdir()
    prepare(config, java, jars)
    with config.properties_file.open("a") as file:
        file.write("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n")
        file.write("super.users=User:ANONYMOUS\n")  # who comes by the plain listener: the broker itself, and the test
    with (folder / "broker.out").open("wb") as output:
        process = subprocess.Popen(
            command(config, java, jars), stdout=output, stderr=output, env=environment(), start_new_session=True
        )
    try:
        wait_until(lambda: _listens(port) and _listens(secure_port), timeout_s=60, what="the secure Kafka to listen")
        plain = KafkaConnection(bootstrap_servers=f"{LOOPBACK}:{port}")
        found = SecureKafka(secure_port, plain, certificates, {user: secrets.token_urlsafe(16) for user in USERS})
        _fill(found, has_topics=has_topics)
        yield found
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


def _fill(kafka: SecureKafka, *, has_topics: bool) -> None:
    admin = AdminClient({**kafka.plain.client_config(), "log_level": 0})
    topics = [NewTopic(topic.full_name("causeline"), PARTITIONS, 1) for topic in TOPICS if has_topics]
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    users: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(user, info, word.encode()) for user, word in kafka.passwords.items()
    ]
    made = admin.create_topics(topics).values() if topics else ()
    futures = [*made, *admin.alter_user_scram_credentials(users).values()]
    futures += admin.create_acls(deployed_acls()).values()
    for future in futures:
        future.result(30)


def deployed_acls() -> list[AclBinding]:
    """The rights that the script gives, read from it."""
    found = []
    for line in ACLS.read_text("utf-8").splitlines():
        if not line.startswith("acls "):
            continue
        words = shlex.split(line)[1:]
        said = list(zip(words[::2], words[1::2], strict=True))
        by_name = dict(said)
        kind = ResourceType.GROUP if "--group" in by_name else ResourceType.TOPIC
        name = by_name["--group" if kind is ResourceType.GROUP else "--topic"]
        prefixed = by_name.get("--resource-pattern-type") == "prefixed"
        pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
        for operation in (value for option, value in said if option == "--operation"):
            wanted = AclOperation[_upper(operation)]
            found.append(
                AclBinding(kind, name, pattern, by_name["--allow-principal"], "*", wanted, AclPermissionType.ALLOW)
            )
    return found


def _upper(words: str) -> str:
    return "".join(f"_{letter}" if letter.isupper() else letter for letter in words).lstrip("_").upper()
