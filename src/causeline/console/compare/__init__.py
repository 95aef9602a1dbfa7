"""Two runs, or two versions of a workflow, side by side."""
