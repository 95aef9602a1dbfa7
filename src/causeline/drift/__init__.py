"""Drift: what moved between windows of final runs, how sure that is, and which version anchor it came with."""
