"""A site takes everything away with it."""

import os

from harness import leftovers
from harness.site import Site


def test_pods_that_a_test_left_running_are_removed(runtime, rootfs):
    site = Site(runtime, rootfs)
    pod = site.engine().create_pod("left")
    pod.create_container("one", rootfs=rootfs, command=["/bin/sleep", "1000"])
    pod.start()
    assert leftovers.find(site.base, site.cgroup_parent).processes

    site.close()

    assert not os.path.exists(site.base)
    assert not leftovers.find(site.base, site.cgroup_parent)


def test_the_command_line_works_on_the_site(site):
    done = site.cli("pod", "create", "web")

    assert site.engine().pod("web").id == done.stdout.strip()
