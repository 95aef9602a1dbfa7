"""The one place that makes Kafka clients, reads their errors and looks at offsets."""
