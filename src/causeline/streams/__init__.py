"""The processing layer: decode event batches, join them into runs, tell their gaps, acknowledge in offset order."""
