"""Late events: a run is assembled again from the store, by the worker's own core, and published anew."""
