"""Routes by room: each module reads what its pages need and hands it to a template or to JSON."""
