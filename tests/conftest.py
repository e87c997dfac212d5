"""Loads the project's pytest plugin."""

pytest_plugins = ["harness.fixtures"]
