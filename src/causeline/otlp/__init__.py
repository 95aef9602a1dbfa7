"""OpenTelemetry in both directions: a receiver, an exporter, and a bridge for applications with the SDK."""
