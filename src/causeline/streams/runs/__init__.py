"""The one definition of a run: from Kafka values to a run's record, pure."""
