"""A run and its diagnosis as people see them: maps, waterfalls, notes."""
