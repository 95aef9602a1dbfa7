"""Whether everything is well, and the way out where it is not: pure checks of what was found."""
