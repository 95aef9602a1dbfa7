"""A run and its causes for agents, over the Model Context Protocol: bounded answers, read-only, without content."""
