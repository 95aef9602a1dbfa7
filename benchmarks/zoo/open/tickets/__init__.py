"""Tickets: clean, translate, classify, route, a branch of its own for each queue, check, approve, assign."""

from benchmarks.zoo.open.tickets.triage import WORKFLOW

__all__ = ["WORKFLOW"]
