"""How to reach Kafka and ClickHouse: settings that every part shares, validated before any connection is made."""

from typing import ClassVar, Literal
from urllib.parse import SplitResult, urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_validator

from causeline.runtime.settings import Settings


class KafkaConnection(Settings):
    """A Kafka cluster, and how to be let in. Variables: `CAUSELINE_KAFKA_…`."""

    prefix: ClassVar = "CAUSELINE_KAFKA_"
    beside: ClassVar = frozenset({"CAUSELINE_KAFKA_PORT"})

    bootstrap_servers: str = Field(default="127.0.0.1:9092", min_length=1)
    """Brokers to begin with, as host:port, joined by commas."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How to talk to them."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """How to log in, where the protocol asks for it."""
    sasl_username: str | None = None
    """Who logs in."""
    sasl_password: SecretStr | None = None
    """Its password; better from a file."""
    ssl_ca_location: str | None = None
    """Certificates to trust, PEM; else the system's."""
    ssl_certificate_location: str | None = None
    """Our own certificate, PEM, where the brokers ask for one."""
    ssl_key_location: str | None = None
    """Its key, PEM."""
    client_rack: str | None = None
    """The rack or zone of this process, as brokers name theirs (`broker.rack`): it reads from a copy there, if any."""

    def client_config(self) -> dict[str, str]:
        """These settings under librdkafka's names."""
        config = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.sasl_username,
            "sasl.password": self.sasl_password.get_secret_value() if self.sasl_password else None,
            "ssl.ca.location": self.ssl_ca_location,
            "ssl.certificate.location": self.ssl_certificate_location,
            "ssl.key.location": self.ssl_key_location,
            "client.rack": self.client_rack,
        }
        return {name: value for name, value in config.items() if value is not None}


class ClickHouseConnection(Settings):
    """A ClickHouse server. Variables: `CAUSELINE_CLICKHOUSE_…`; the password is never part of the URL."""

    prefix: ClassVar = "CAUSELINE_CLICKHOUSE_"
    beside: ClassVar = frozenset({"CAUSELINE_CLICKHOUSE_PORT", "CAUSELINE_CLICKHOUSE_CLUSTER"})

    url: str = "http://causeline@127.0.0.1:8123/causeline"
    """Where it is, who logs in and which database: `http://user@host:port/database`."""
    password: SecretStr = SecretStr("")
    """The user's password; better from a file."""
    ca_cert: str | None = None
    """Certificates to trust over https, PEM; else the system's."""

    @field_validator("url")
    @classmethod
    def _is_clickhouse_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("not of the form http://user@host:port/database")
        if parts.password:
            raise ValueError("a password in the URL; give CAUSELINE_CLICKHOUSE_PASSWORD or …_PASSWORD_FILE")
        try:
            _ = parts.port
        except ValueError:
            raise ValueError("the port is not a number from 1 to 65535") from None
        return url

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def host(self) -> str:
        """The server's host name or address."""
        return self._parts.hostname or "127.0.0.1"

    @property
    def port(self) -> int:
        """The HTTP port; 8443 for https and 8123 for http where the URL names none."""
        return self._parts.port or (8443 if self.secure else 8123)

    @property
    def secure(self) -> bool:
        """Whether the URL is https."""
        return self._parts.scheme == "https"

    @property
    def user(self) -> str:
        """The user to log in as."""
        return self._parts.username or "default"

    @property
    def database(self) -> str:
        """The database that holds our tables."""
        return self._parts.path.strip("/") or "causeline"

    def in_database(self, database: str) -> "ClickHouseConnection":
        """The same server and user, another database."""
        return self.model_copy(update={"url": urlunsplit(self._parts._replace(path=f"/{database}"))})
