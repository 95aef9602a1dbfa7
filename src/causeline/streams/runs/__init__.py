"""What lies between messages and runs: cores that read and write (`core.py`), and what is asked of a run written."""
