"""Claims from scanned forms: fetch, read, mask, sort, extract, check and repair, look up, decide, review, pay."""

from benchmarks.zoo.open.claims.process import WORKFLOW

__all__ = ["WORKFLOW"]
