"""A container without an engine, for tests of what stands below it."""

from collections.abc import Iterator

import pytest

from harness.bare import BareContainer


@pytest.fixture
def box(runtime: str, rootfs: str) -> Iterator[BareContainer]:
    container = BareContainer(runtime, rootfs)
    yield container
    container.close()
