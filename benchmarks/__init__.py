"""Benchmarks: each beside its peer or its limit in the same run. `python -m benchmarks.NAME [--json] [--quick]`."""
