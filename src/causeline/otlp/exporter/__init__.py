"""Runs out, as OpenTelemetry traces."""
