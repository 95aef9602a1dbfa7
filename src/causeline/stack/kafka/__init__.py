"""Apache Kafka as a local process: `running_broker`, or `python -m causeline.stack.kafka`."""

from causeline.stack.kafka.broker import BrokerConfig, Listener, command, prepare
from causeline.stack.kafka.jars import class_path
from causeline.stack.kafka.java import find_java
from causeline.stack.kafka.process import BrokerProcess, running_broker

__all__ = [
    "BrokerConfig",
    "BrokerProcess",
    "Listener",
    "class_path",
    "command",
    "find_java",
    "prepare",
    "running_broker",
]
