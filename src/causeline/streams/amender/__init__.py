"""Late events: a run is assembled again from the store, by the one definition of a run, and published anew."""
