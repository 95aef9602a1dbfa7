"""What the benchmark of the console is made of: runs, a list of millions of them, requests, a browser, and Phoenix."""
