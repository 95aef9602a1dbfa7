#!/bin/sh
# The least rights of each part on the broker. KAFKA_ACLS is the tool with its connection, for example
#   KAFKA_ACLS="kafka-acls.sh --bootstrap-server broker:9093 --command-config admin.properties" sh deploy/kafka/acls.sh
# Users: emitter (every traced application, and the receiver), receiver (one that reads a Collector's topic besides),
# worker, loader, amender, diagnoser, watch, exporter, replayer (dead replay), console (its review pages, causeline reviews),
# reviewer (an application that records what people decide), gate (eval gate and export), operator (topics apply).
# A receiver with CAUSELINE_RECEIVE_DECISIONS=1 needs to write to causeline.decisions besides.
set -eu
acls() { ${KAFKA_ACLS:-kafka-acls.sh} --add "$@"; }

acls --allow-principal User:emitter --operation Write --operation Describe --topic causeline.events

acls --allow-principal User:receiver --operation Write --operation Describe --topic causeline.events
acls --allow-principal User:receiver --operation Write --operation Describe --topic causeline.dead
acls --allow-principal User:receiver --operation Read --operation Describe --topic otlp_spans
acls --allow-principal User:receiver --operation Read --operation Describe --group causeline.receiver

acls --allow-principal User:worker --operation Read --operation Describe --topic causeline.events
acls --allow-principal User:worker --operation Read --operation Write --operation Describe --topic causeline.runs
acls --allow-principal User:worker --operation Write --operation Describe --topic causeline.late
acls --allow-principal User:worker --operation Write --operation Describe --topic causeline.gaps
acls --allow-principal User:worker --operation Write --operation Describe --topic causeline.reviews
acls --allow-principal User:worker --operation Write --operation Describe --topic causeline.policies
acls --allow-principal User:worker --operation Write --operation Describe --topic causeline.dead
acls --allow-principal User:worker --operation Read --operation Describe --group causeline.worker

acls --allow-principal User:loader --operation Read --operation Describe --topic causeline. --resource-pattern-type prefixed
acls --allow-principal User:loader --operation Write --operation Describe --topic causeline.dead
acls --allow-principal User:loader --operation Read --operation Describe --group causeline.loader

acls --allow-principal User:amender --operation Describe --topic causeline. --resource-pattern-type prefixed
acls --allow-principal User:amender --operation Read --topic causeline.late
acls --allow-principal User:amender --operation Read --topic causeline.decisions
acls --allow-principal User:amender --operation Write --topic causeline.runs
acls --allow-principal User:amender --operation Write --topic causeline.reviews
acls --allow-principal User:amender --operation Write --topic causeline.dead
acls --allow-principal User:amender --operation Read --operation Describe --group causeline.amender

acls --allow-principal User:diagnoser --operation Read --operation Describe --topic causeline.runs
acls --allow-principal User:diagnoser --operation Write --operation Describe --topic causeline.causes
acls --allow-principal User:diagnoser --operation Read --operation Describe --group causeline.diagnoser

acls --allow-principal User:watch --operation Write --operation Describe --topic causeline.alerts

acls --allow-principal User:exporter --operation Read --operation Describe --topic causeline.runs
acls --allow-principal User:exporter --operation Read --operation Describe --group causeline-export

acls --allow-principal User:replayer --operation Write --operation Describe --topic causeline. --resource-pattern-type prefixed

acls --allow-principal User:console --operation Describe --topic causeline. --resource-pattern-type prefixed
acls --allow-principal User:console --operation Describe --group causeline. --resource-pattern-type prefixed
acls --allow-principal User:console --operation Write --topic causeline.decisions

acls --allow-principal User:reviewer --operation Write --operation Describe --topic causeline.decisions

acls --allow-principal User:gate --operation Write --operation Describe --topic causeline.events
acls --allow-principal User:gate --operation Write --operation Describe --topic causeline.decisions

acls --allow-principal User:operator --operation Create --operation Alter --operation AlterConfigs --operation Describe --operation DescribeConfigs --topic causeline. --resource-pattern-type prefixed
