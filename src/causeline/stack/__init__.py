"""The local stack: a real Kafka and a real ClickHouse engine, supervised, on one machine and without Docker."""
