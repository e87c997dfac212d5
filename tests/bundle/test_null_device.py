"""What runtimes do to /dev/null of the host, and that podcore undoes it."""

import os
import shutil

import pytest


@pytest.fixture(autouse=True)
def null_is_root_s():
    os.chown(os.devnull, 0, 0)
    yield
    os.chown(os.devnull, 0, 0)


def owner_of_null():
    status = os.stat(os.devnull)
    return status.st_uid, status.st_gid


@pytest.mark.parametrize("profile", ["default", "strict"])
def test_the_host_s_null_device_stays_root_s(site, profile):
    rootfs = site.rootfs
    if profile == "strict":
        # Pytest's own directory is private; the root of a user namespace must get through.
        rootfs = f"{site.base}/rootfs"
        shutil.copytree(site.rootfs, rootfs, symlinks=True)
        os.chmod(site.base, 0o711)
    pod = site.engine().create_pod("web")
    container = pod.create_container(
        "app", rootfs=rootfs, command=["/bin/sleep", "600"], user="user", profile=profile
    )
    pod.start()
    assert owner_of_null() == (0, 0)
    done = container.exec(
        ["/bin/sh", "-c", "id -u; cat; chmod 600 /proc/self/fd/0; ls -l /dev/null"]
    )
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(b"1000\n")
    assert owner_of_null() == (0, 0)
    assert os.stat(os.devnull).st_mode & 0o777 == 0o666
