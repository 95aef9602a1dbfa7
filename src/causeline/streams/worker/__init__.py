"""The worker: Faust reads, the joiner joins, the outbox publishes, and nothing is acknowledged before it is safe."""
