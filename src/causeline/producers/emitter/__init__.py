"""The emitter: from events to a broker, by batches in memory and, while no broker answers, a spool on disk."""
