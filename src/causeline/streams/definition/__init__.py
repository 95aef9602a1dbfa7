"""What a run is, in plain Python: the definition that everything else is held against. Begin with `run.py`."""
