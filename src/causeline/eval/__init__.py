"""From an incident to a gate: cases made of corrected runs, and releases held against them."""
