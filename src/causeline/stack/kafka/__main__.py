"""A broker in the foreground: `python -m causeline.stack.kafka --state-dir DIR --port PORT`."""

import argparse
import logging
import os
import sys
from pathlib import Path

from causeline.schemas.errors import CauselineError
from causeline.stack.kafka.broker import BrokerConfig, Membership, command, environment, prepare
from causeline.stack.kafka.jars import class_path, maven_context
from causeline.stack.kafka.java import find_java
from causeline.stack.kafka.learnt import learnt_file
from causeline.stack.ports import free_ports, require_free

log = logging.getLogger("causeline.stack.kafka")


def main() -> None:
    """Prepare, then become the broker: the process id stays, so signals reach it without a go-between."""
    options = _options()
    os.umask(0o077)  # its log holds what people's events say
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        argv = _prepared(options)
    except CauselineError as error:
        log.error("error: %s%s", error.message, f" {error.hint}" if error.hint else "")  # noqa: TRY400
        sys.exit(error.exit_code)
    os.execve(argv[0], argv, environment())  # noqa: S606


def _prepared(options: argparse.Namespace) -> list[str]:
    if options.nodes:
        options.controller_port = options.nodes[options.node - 1]
    asked = [port for port in (options.port, options.controller_port) if port]
    spare = iter(free_ports(2, but=asked))
    config = BrokerConfig(
        folder=options.state_dir.absolute(),
        port=require_free(options.port, "Kafka") if options.port else next(spare),
        controller_port=require_free(options.controller_port, "Kafka's controller")
        if options.controller_port
        else next(spare),
        partitions=options.partitions,
        member=_membership(options),
    )
    java = find_java()
    jars = class_path()
    learnt = learnt_file(java, jars, maven_context().repo_cache)
    prepare(config, java, jars, learnt=learnt)
    log.info("kafka bootstrap servers %s", config.bootstrap_servers)
    return command(config, java, jars, learnt=learnt)


def _membership(options: argparse.Namespace) -> Membership | None:
    if not options.nodes:
        return None
    return Membership(options.node, tuple(options.nodes), options.cluster_id, options.rack)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m causeline.stack.kafka", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="folder of the broker's data")
    parser.add_argument("--port", type=_port, default=0, help="clients' port; 0 chooses a free one")
    parser.add_argument("--controller-port", type=_port, default=0, help="controller's port; 0 chooses a free one")
    parser.add_argument("--partitions", type=int, default=4, help="partitions of a topic that names no number")
    cluster = parser.add_argument_group("one node of a cluster")
    cluster.add_argument("--nodes", type=_ports, default=[], help="controllers' ports of all nodes, by commas")
    cluster.add_argument("--node", type=int, default=1, help="which of them this is, from 1")
    cluster.add_argument("--cluster-id", default="", help="the cluster's id, the same on each")
    cluster.add_argument("--rack", default="", help="where the node stands; clients there read from it")
    options = parser.parse_args()
    if options.nodes and not (options.cluster_id and 1 <= options.node <= len(options.nodes)):
        parser.error("--nodes needs --cluster-id, and --node from 1 to their number")
    return options


def _ports(text: str) -> list[int]:
    return [_port(each) for each in text.split(",")]


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port (0 to 65535)")
    return int(text)


if __name__ == "__main__":
    main()
