"""An agent that buys: it looks into catalogue, quotes and budget with tools, in a loop, and places an order."""

from benchmarks.zoo.open.buyer.agent import WORKFLOW

__all__ = ["WORKFLOW"]
