"""Apache Kafka as a local process: `BrokerConfig` says where, `prepare` and `command` how to run it."""

from causeline.stack.kafka.broker import MAX_MESSAGE_BYTES, BrokerConfig, Listener, command, prepare
from causeline.stack.kafka.jars import class_path
from causeline.stack.kafka.java import find_java

__all__ = ["MAX_MESSAGE_BYTES", "BrokerConfig", "Listener", "class_path", "command", "find_java", "prepare"]
