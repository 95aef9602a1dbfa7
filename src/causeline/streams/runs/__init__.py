"""A run as `definition` has it, by columns and many at once: from Kafka values to runs' records, pure."""
