"""OpenTelemetry and OpenInference in: OTLP requests become trace events."""
