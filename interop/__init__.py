"""Causeline beside software of others: bounded runs, apart from the tests."""
