"""The whole life of a pod of real containers breaks none of the twenty invariants."""

import subprocess
import sys

import pytest

from podcore import ContainerSpec, errors
from podcore.testing import watch

SAYS = ["/bin/sh", "-c", 'trap "echo bye; exit 3" TERM; echo hello; sleep 1000 & wait']


@pytest.mark.parametrize("infra", [True, False])
def test_a_whole_life_breaks_nothing(site, tmp_path, infra):
    engine = site.engine()
    still = engine.create_pod("still", share=())
    still.create_container("x", rootfs=site.rootfs, rootfs_mode="ro", command=SAYS)
    still.start()
    (tmp_path / "beside").write_text("as it was")
    with watch(engine, beside=[str(tmp_path)]) as watching:
        pod = watching.call(engine.create_pod, "web", infra=infra)
        specs = [
            ContainerSpec(name="db", rootfs=site.rootfs, command=SAYS),
            ContainerSpec(name="api", rootfs=site.rootfs, command=SAYS, depends_on=["db"]),
        ]
        watching.call(pod.create_containers, specs)
        watching.repeat(pod.start)
        watching.repeat(pod.pause)
        watching.repeat(pod.unpause)
        assert watching.call(pod.container("db").exec, ["/bin/true"]).exit_code == 0
        watching.call(pod.restart, timeout=20)
        watching.repeat(pod.container("api").stop, timeout=20)
        watching.call(pod.start)
        watching.call(pod.kill)
        with pytest.raises(errors.ContainerStateError):
            watching.call(pod.container("db").pause)
        watching.call(pod.start)
        watching.ran(
            subprocess.run(
                [sys.executable, "-m", "podcore", "pod", "stop", "web"],
                env=site.environ,
                capture_output=True,
                text=True,
                check=False,
            )
        )
        watching.repeat(pod.stop, timeout=20, cleanup=True)
        watching.call(pod.remove)

    assert watching.broken == []
