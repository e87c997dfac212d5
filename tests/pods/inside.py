"""What the tests of pods run in containers, and what they look at."""

import os

from harness import host
from harness.polling import eventually

SLEEP = ["/bin/sleep", "1000"]

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
"""Whether to repeat things as often as a user would in days, which takes minutes: `make full`."""


def add(site, pod, name, **fields):
    """A container that sleeps, on an overlay."""
    settings = {"rootfs": site.rootfs, "command": SLEEP}
    return pod.create_container(name, **(settings | fields))


def sh(container, script, **options):
    """What a shell script that must succeed writes in a running container, without the end."""
    done = container.exec(["/bin/sh", "-c", script], timeout=60, **options)
    assert done.exit_code == 0, f"`{script}` exits {done.exit_code}: {done.stderr!r}"
    return done.stdout.decode().removesuffix("\n")


def ran(container):
    """What a container that is started wrote until it ended, which it must with 0."""
    container.start()
    assert container.wait(timeout=60) == 0, written(container)
    return written(container)


def written(container):
    return "".join(f"{entry.text}\n" for entry in container.logs()).removesuffix("\n")


def proc_file(container, name):
    """A file of /proc of a container's own process, once that is its command."""

    def executed():
        # A runtime's start returns just before its own program there becomes the command.
        program = os.path.basename(os.readlink(f"/proc/{container.pid}/exe"))
        return program in ("busybox", "catatonit", "podcore-init")

    eventually(executed, what=f"the command of `{container.name}`")
    return host.read_proc(container.pid, name)


def namespaces(pid):
    """The namespaces of a process, by kind."""
    kinds = ("ipc", "net", "uts", "pid", "cgroup", "mnt")
    return {kind: os.stat(f"/proc/{pid}/ns/{kind}").st_ino for kind in kinds}


def shared(one, other):
    """The kinds of namespaces that two processes share."""
    theirs = namespaces(other)
    return {kind for kind, number in namespaces(one).items() if theirs[kind] == number}
