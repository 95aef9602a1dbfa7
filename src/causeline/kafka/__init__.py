"""The one place that says how Kafka clients are configured, reads their errors and looks at offsets."""
