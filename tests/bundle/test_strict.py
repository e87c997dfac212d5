"""The profile ``strict`` through the whole engine."""

import os
import shutil


def test_pods_have_ranges_of_user_ids_of_their_own_and_write_nothing(site):
    # Pytest's own directory is private; the root of a user namespace must get through.
    rootfs = f"{site.base}/rootfs"
    shutil.copytree(site.rootfs, rootfs, symlinks=True)
    os.chmod(site.base, 0o711)
    engine = site.engine()
    ranges = []
    for name in ("one", "two"):
        pod = engine.create_pod(name)
        container = pod.create_container(
            "app", rootfs=rootfs, command=["/bin/sleep", "600"], profile="strict"
        )
        pod.start()
        with open(f"/proc/{container.pid}/uid_map", encoding="ascii") as file:
            ranges.append(file.read().split())
        done = container.exec(["/bin/sh", "-c", "touch /x; grep CapBnd /proc/self/status; id -u"])
        assert done.stdout.split() == [b"CapBnd:", b"0" * 16, b"0"]
        assert b"Read-only file system" in done.stderr
    (_, first, size), (_, second, _) = ranges
    assert abs(int(first) - int(second)) >= int(size) == 65536
    assert not os.path.exists(f"{rootfs}/x")
