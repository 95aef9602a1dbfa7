"""Apache Kafka as a local process: `running_broker`, `running_cluster`, or `python -m causeline.stack.kafka`."""

from causeline.stack.kafka.broker import BrokerConfig, Listener, Membership, command, prepare
from causeline.stack.kafka.jars import class_path
from causeline.stack.kafka.java import find_java
from causeline.stack.kafka.process import BrokerCluster, BrokerProcess, running_broker, running_cluster

__all__ = [
    "BrokerCluster",
    "BrokerConfig",
    "BrokerProcess",
    "Listener",
    "Membership",
    "class_path",
    "command",
    "find_java",
    "prepare",
    "running_broker",
    "running_cluster",
]
