"""What Java learns of Kafka's classes: made once by the run that formats, used by every other."""

from pathlib import Path

import pytest

from causeline.stack.kafka import BrokerConfig, command, prepare
from causeline.stack.kafka.learnt import learnt_file

KEEPS = 'for each in "$@"; do case $each in -XX:AOTCacheOutput=*) echo learnt > "${each#*=}";; esac; done\n'


@pytest.fixture
def java(tmp_path: Path) -> Path:
    """A Java that keeps its arguments, and what it has learnt where it is asked to."""
    home = tmp_path / "java"
    (home / "bin").mkdir(parents=True)
    (home / "lib").mkdir()
    (home / "lib" / "modules").write_text("classes")
    runs(home / "bin" / "java", KEEPS)
    return home / "bin" / "java"


@pytest.fixture
def jars(tmp_path: Path) -> list[Path]:
    (tmp_path / "kafka.jar").write_text("classes")
    return [tmp_path / "kafka.jar"]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def runs(java: Path, program: str) -> None:
    java.write_text(f'#!/bin/sh\necho "$@" >> {java.parent}/runs\n{program}')
    java.chmod(0o755)


def asked(java: Path) -> list[str]:
    """What each run was told of the cache, without the folder."""
    lines = (java.parent / "runs").read_text().splitlines()
    return [
        next((word.partition("=")[0] for word in line.split() if word.startswith("-XX:AOTCache")), "") for line in lines
    ]


def test_the_first_format_learns_and_all_else_begins_with_it(
    java: Path, jars: list[Path], cache: Path, tmp_path: Path
) -> None:
    learnt = learnt_file(java, jars, cache)
    assert learnt is not None
    assert not any("AOT" in word for word in command(BrokerConfig(tmp_path / "a", 1, 2), java, jars, learnt=learnt))
    (cache / "causeline-kafka-of-another.aot").touch()

    for name in ("a", "b"):
        prepare(BrokerConfig(tmp_path / name, 1, 2), java, jars, learnt=learnt)

    assert asked(java) == ["-XX:AOTCacheOutput", "-XX:AOTCache"]
    assert list(cache.iterdir()) == [learnt]
    assert f"-XX:AOTCache={learnt}" in command(BrokerConfig(tmp_path / "a", 1, 2), java, jars, learnt=learnt)


def test_a_java_that_learns_nothing_leaves_nothing(java: Path, jars: list[Path], cache: Path, tmp_path: Path) -> None:
    runs(java, "exit 0\n")
    prepare(BrokerConfig(tmp_path / "a", 1, 2), java, jars, learnt=learnt_file(java, jars, cache))

    assert not list(cache.iterdir())


def test_a_format_whose_learning_fails_is_done_without(
    java: Path, jars: list[Path], cache: Path, tmp_path: Path
) -> None:
    runs(java, 'case "$*" in *AOT*) exit 1;; esac\n')
    prepare(BrokerConfig(tmp_path / "a", 1, 2), java, jars, learnt=learnt_file(java, jars, cache))

    assert asked(java) == ["-XX:AOTCacheOutput", ""]


def test_another_runtime_and_other_jars_have_another(java: Path, jars: list[Path], cache: Path) -> None:
    first = learnt_file(java, jars, cache)
    jars[0].write_text("other classes")
    second = learnt_file(java, jars, cache)
    (java.parents[1] / "lib" / "modules").write_text("a newer runtime")

    assert len({first, second, learnt_file(java, jars, cache)}) == 3
    assert learnt_file(java, [*jars, cache / "missing.jar"], cache) is None


def test_a_cache_that_cannot_be_written_is_done_without(
    java: Path, jars: list[Path], cache: Path, tmp_path: Path
) -> None:
    prepare(BrokerConfig(tmp_path / "a", 1, 2), java, jars, learnt=learnt_file(java, jars, cache / "nowhere"))

    assert asked(java) == [""]
