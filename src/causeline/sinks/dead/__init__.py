"""What could not be read: looked up by message, and sent again after a fix."""
