"""Customer support over a corpus of manuals: mask, intent, rewrite, search, rerank, answer, check, letter."""

from benchmarks.zoo.open.support.desk import WORKFLOW

__all__ = ["WORKFLOW"]
