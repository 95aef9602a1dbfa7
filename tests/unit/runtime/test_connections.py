"""Settings are checked before any connection is made, and keep their secrets."""

from pathlib import Path

import pytest

from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from causeline.schemas.errors import UsageError


def test_kafka_is_the_local_broker_unless_said_otherwise() -> None:
    assert KafkaConnection.from_environment({}).client_config() == {
        "bootstrap.servers": "127.0.0.1:9092",
        "security.protocol": "PLAINTEXT",
    }


def test_kafka_credentials_reach_librdkafka_and_no_repr(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    kafka = KafkaConnection.from_environment(
        {
            "CAUSELINE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "CAUSELINE_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "CAUSELINE_KAFKA_SASL_USERNAME": "writer",
            "CAUSELINE_KAFKA_SASL_PASSWORD_FILE": str(secret),
        }
    )

    assert kafka.client_config()["sasl.password"] == "s3cret"
    assert "s3cret" not in repr(kafka)


def test_a_wrong_setting_is_named_by_its_variable() -> None:
    with pytest.raises(UsageError, match="CAUSELINE_KAFKA_SECURITY_PROTOCOL"):
        KafkaConnection.from_environment({"CAUSELINE_KAFKA_SECURITY_PROTOCOL": "TELEPATHY"})


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="CAUSELINE_CLICKHOUSE_PASSWORD_FILE"):
        ClickHouseConnection.from_environment({"CAUSELINE_CLICKHOUSE_PASSWORD_FILE": str(tmp_path / "none")})


def test_a_clickhouse_url_gives_its_parts() -> None:
    clickhouse = ClickHouseConnection(url="https://loader@db.example:9440/traces")

    assert (clickhouse.host, clickhouse.port, clickhouse.secure, clickhouse.user, clickhouse.database) == (
        "db.example", 9440, True, "loader", "traces",
    )  # fmt: skip


@pytest.mark.parametrize("url", ["db:8123", "ftp://db", "http://u:p@db/x", "http://db:99999"])
def test_a_url_that_is_none_is_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(UsageError, match="CAUSELINE_CLICKHOUSE_URL"):
        ClickHouseConnection.from_environment({"CAUSELINE_CLICKHOUSE_URL": url})


def test_an_empty_variable_counts_as_unset() -> None:
    assert ClickHouseConnection.from_environment({"CAUSELINE_CLICKHOUSE_URL": ""}) == ClickHouseConnection()
