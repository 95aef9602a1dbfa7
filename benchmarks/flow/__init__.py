"""The parts of the pipeline benchmark: the processes of ours, and the textbook of the same packages."""
