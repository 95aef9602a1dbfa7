"""What went wrong in each run, told as runs close: a service between the runs topic and the causes topic."""
