"""A container without an engine, for tests of what stands below it."""

from harness.bare import box

__all__ = ["box"]
