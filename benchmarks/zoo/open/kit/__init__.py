"""What the workflows have in common: texts and search, a model's wire, and recorders for the three forms."""
