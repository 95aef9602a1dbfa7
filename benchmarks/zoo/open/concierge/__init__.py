"""Chat about city trips: sessions, memory, guides, and an evaluator; each turn is a run."""

from benchmarks.zoo.open.concierge.turn import WORKFLOW

__all__ = ["WORKFLOW"]
