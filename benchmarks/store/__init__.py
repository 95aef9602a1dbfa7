"""Stores for benchmarks: runs of the demo pipeline, multiplied inside the engine."""
