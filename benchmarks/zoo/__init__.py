"""Workflows that nobody who writes rules has written: the diagnosis is measured on them."""
