"""What the tests and the benchmarks share: the host, places to run in, and what is left behind."""
