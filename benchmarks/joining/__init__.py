"""The parts of the join benchmark: runs to join, brokers and workers, contenders, and many open runs."""
