"""Loads the project's pytest plugin: benchmarks use the same sites and runtimes as the tests."""

pytest_plugins = ["harness.fixtures"]
