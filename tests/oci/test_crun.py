"""What is crun's own: it is run from a sealed copy, so that it need not execute itself again."""

import os
from pathlib import Path

import pytest

from harness.bare import BareContainer
from podcore.kernel import process
from podcore.oci import discovery
from podcore.oci.crun import Crun

pytestmark = pytest.mark.runtimes("crun")


def test_it_is_run_from_a_copy() -> None:
    crun = Crun(discovery.resolve("crun", os.environ), "/")

    assert os.readlink(crun.program).startswith("/memfd:crun")


def test_by_another_name_it_is_another_program(tmp_path: Path) -> None:
    link = tmp_path / "krun"
    link.symlink_to(discovery.resolve("crun", os.environ))

    assert Crun(str(link), "/").program == str(link)


def test_the_container_outlives_the_copy(box: BareContainer) -> None:
    launched = box.create(["sleep", "1000"])
    box.start()
    box.runtime = Crun(box.runtime.path, box.runtime.root)

    state = box.runtime.state(box.id, log=box.log)
    assert state is not None
    assert state.status == "running"
    assert process.alive(launched.init)
