"""`python -m tests.faults.proxied_broker LISTEN ADVERTISED OPTIONS…`: our broker, with a listener more, behind a proxy.

A Kafka client goes where the broker says it is: what comes by the proxy's port is told the proxy's port again.
"""

import sys
from collections.abc import Callable
from dataclasses import replace

from causeline.stack.kafka import __main__ as ours
from causeline.stack.kafka import broker
from causeline.stack.kafka.broker import BrokerConfig, Listener

Properties = Callable[[BrokerConfig], dict[str, str]]


def behind_a_proxy(made: Properties, listen: int, advertised: int) -> Properties:
    """The same configuration with the second listener in it."""

    def properties(config: BrokerConfig) -> dict[str, str]:
        listener = Listener("PROXIED", "PLAINTEXT", listen)
        said = made(replace(config, listeners=(*config.listeners, listener)))
        name = "advertised.listeners"
        return said | {name: said[name].replace(f":{listen}", f":{advertised}")}

    return properties


if __name__ == "__main__":
    ports = [int(each) for each in sys.argv[1:3]]
    del sys.argv[1:3]
    setattr(broker, "server_properties", behind_a_proxy(broker.server_properties, *ports))  # noqa: B010 - mypy minds it otherwise
    ours.main()
