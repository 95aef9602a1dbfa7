"""The loader's settings are refused before anything is connected."""

import pytest

from causeline.schemas.errors import UsageError
from causeline.sinks.loader import LoaderSettings


def test_the_environment_sets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSELINE_LOADER_MAX_BLOCK_ROWS", "77")
    monkeypatch.setenv("CAUSELINE_TOPIC_PREFIX", "other")
    monkeypatch.setenv("CAUSELINE_KAFKA_BOOTSTRAP_SERVERS", "broker:1")
    monkeypatch.setenv("CAUSELINE_CLICKHOUSE_URL", "http://me@store:1/base")
    settings = LoaderSettings.from_environment()
    assert (settings.max_block_rows, settings.topic_prefix, settings.group) == (77, "other", "other.loader")
    assert (settings.kafka.bootstrap_servers, settings.clickhouse.database) == ("broker:1", "base")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CAUSELINE_LOADER_MAX_BLOCK_ROWS", "0"),
        ("CAUSELINE_LOADER_MAX_DEAD_RATIO", "1.5"),
        ("CAUSELINE_LOADER_LINGER_S", "soon"),
        ("CAUSELINE_LOADER_LINGER", "1"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match=rf"^{variable}\b"):
        LoaderSettings.from_environment()
