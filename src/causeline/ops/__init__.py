"""What an operator asks: whether everything is well, and the way out where it is not."""
