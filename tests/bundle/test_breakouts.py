"""Ways out of a container that worked against runtimes, tried through the whole engine."""

import os
import shutil

import pytest

import podcore


@pytest.fixture
def leaked(site):
    """The number of an inheritable descriptor of a directory of the host, which has a canary."""
    secret = f"{site.base}/secret"
    os.mkdir(secret)
    with open(f"{secret}/canary", "w", encoding="utf-8") as file:
        file.write("host")
    opened = os.open(secret, os.O_RDONLY | os.O_DIRECTORY)
    os.set_inheritable(opened, True)
    yield opened
    os.close(opened)


def seen_by(container):
    return b"\n".join(entry.data for entry in container.logs())


def test_a_leaked_descriptor_is_no_way_out_through_the_working_directory(site, leaked):
    """CVE-2024-21626; crun 1.8.1 too ran containers in a directory of the host that way."""
    with pytest.raises(podcore.InvalidArgumentError, match="lies in /proc"):
        site.engine().create_pod("refused").create_container(
            "app", rootfs=site.rootfs, command=["/bin/ls"], cwd=f"/proc/self/fd/{leaked}"
        )
    # The check of the spec can't see through a link of the rootfs; no descriptor may be there.
    rootfs = f"{site.base}/rootfs"
    shutil.copytree(site.rootfs, rootfs, symlinks=True)
    os.symlink(f"/proc/self/fd/{leaked}", f"{rootfs}/sneaky")
    pod = site.engine().create_pod("web")
    container = pod.create_container("app", rootfs=rootfs, command=["/bin/ls"], cwd="/sneaky")
    try:
        pod.start()
        container.wait(timeout=30)
    except podcore.PartialFailureError as error:
        assert list(error.errors) == [container.id]  # noqa: PT017 - both outcomes are right
    assert b"canary" not in seen_by(container)


def test_nothing_but_stdio_is_inherited(site, leaked):
    pod = site.engine().create_pod("web")
    container = pod.create_container(
        "app", rootfs=site.rootfs, command=["/bin/sh", "-c", "exec ls /proc/self/fd"]
    )
    pod.start()
    assert container.wait(timeout=30) == 0
    # The fourth is the directory that `ls` reads.
    assert seen_by(container).split() == [b"0", b"1", b"2", b"3"]
    running = pod.create_container("run", rootfs=site.rootfs, command=["/bin/sleep", "600"])
    running.start()
    assert running.exec(["/bin/ls", "/proc/self/fd"]).stdout.split() == [b"0", b"1", b"2", b"3"]


def test_a_user_s_files_are_looked_up_inside(site):
    """A link as /etc/passwd must not lead to the host's users (podman CVE-2026-55686)."""
    rootfs = f"{site.base}/rootfs"
    shutil.copytree(site.rootfs, rootfs, symlinks=True)
    with open(f"{site.base}/passwd", "w", encoding="utf-8") as file:
        file.write("canary:x:77:77::/:/bin/sh\n")
    os.unlink(f"{rootfs}/etc/passwd")
    os.symlink(f"../../../../../../..{site.base}/passwd", f"{rootfs}/etc/passwd")
    pod = site.engine().create_pod("web")
    container = pod.create_container("app", rootfs=rootfs, command=["/bin/id"], user="canary")
    with pytest.raises(podcore.PartialFailureError) as caught:
        pod.start()
    error = caught.value.errors[container.id]
    assert isinstance(error, podcore.InvalidArgumentError)
    assert "user `canary`" in str(error)


def test_what_podcore_tells_a_runtime_can_not_be_taken_for_a_flag(site):
    """``--`` stands before every id, on real command lines."""
    real, wrapper, log = shutil.which(site.runtime), f"{site.base}/{site.runtime}", f"{site.base}/l"
    with open(wrapper, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {log}\nexec {real} "$@"\n')
    os.chmod(wrapper, 0o755)
    pod = site.engine(oci_runtime=wrapper).create_pod("web", share=())
    container = pod.create_container("app", rootfs=site.rootfs, command=["/bin/sleep", "600"])
    pod.start()
    assert container.exec(["/bin/true"]).exit_code == 0
    pod.stop(timeout=0, cleanup=True)
    pod.remove()
    with open(log, encoding="utf-8") as file:
        calls = [line.split() for line in file if container.id in line.split()]
    # conmon writes the command line of a create; the id is of podcore's own making there as here.
    own = [words for words in calls if "create" not in words]
    assert {"start", "exec"} <= {word for words in own for word in words}
    for words in own:
        assert words[words.index(container.id) - 1] == "--", words
