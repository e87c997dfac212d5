"""Disks that are full or read-only under the state, group D of docs/reliability.md."""

import itertools
import os
import signal
import subprocess

import pytest

import podcore
from harness.bare import kill_hard
from harness.polling import eventually
from integration.builders import POLITE, add, await_ready, new_pod, says, sound, states

pytestmark = pytest.mark.runtimes("crun")


@pytest.fixture
def small(site):
    """A state directory on a file system of 3 MiB and 200 inodes."""
    os.mkdir(site.root, 0o700)
    options = "size=3m,nr_inodes=200,mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", site.root], check=True)
    yield site.root
    remount(site.root, "rw")
    throw_out(site.root)
    with site.engine() as engine:
        for pod in engine.pods():
            pod.remove(force=True)
    subprocess.run(["umount", "--lazy", site.root], check=True)


def fill(directory):
    """Writes until there is no more space."""
    path = f"{directory}/ballast-{len(os.listdir(directory))}"
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 16, 1 << 9, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def use_up_inodes(directory):
    """Makes files until there is no more inode."""
    for number in itertools.count():
        try:
            with open(f"{directory}/ballast-{number}", "xb"):
                pass
        except OSError:
            return


def throw_out(directory):
    """Removes what those two made."""
    for name in os.listdir(directory):
        if name.startswith("ballast-"):
            os.unlink(f"{directory}/{name}")


# Without an inode for the exit file conmon goes without a word.
@pytest.mark.parametrize(
    ("exhaust", "left_by"),
    [(fill, ("", 0, 137)), (use_up_inodes, ("MonitorLost", None, None))],
)
def test_f40_on_a_full_disk_nothing_is_half_made_and_what_runs_can_be_stopped(
    site, small, exhaust, left_by
):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one, two = add(site, pod, "one", command=POLITE), add(site, pod, "two")
    add(site, pod, "three")
    new = add(site, pod, "new")
    for name in ("one", "two", "three"):
        pod.container(name).start()
    await_ready(one)
    exhaust(small)

    names = itertools.count()
    with pytest.raises(podcore.ResourceExhaustedError) as caught:
        eventually(lambda: add(site, pod, f"n{next(names)}") and False, interval=0)
    assert "\nhint: " in str(caught.value)
    whole = [container.name for container in pod.containers()]
    with pytest.raises(podcore.ResourceExhaustedError):
        engine.create_pod("other")
    # What those attempts gave back is gone, too.
    exhaust(small)
    assert [container.name for container in pod.containers()] == whole
    assert [found.name for found in engine.pods()] == ["web"]
    assert one.status == "running"

    one.stop(timeout=30)
    two.kill()
    assert (one.inspect().reason, one.exit_code, two.exit_code) == left_by
    with engine.host.store.read() as view:
        assert view.container(two.id).state == "exited", "it is recorded, not only seen"
    two.remove()
    new.remove()
    assert pod.stop(timeout=0).ok
    pod.remove()
    assert engine.pods() == []

    throw_out(small)
    sound(engine)
    pod = new_pod(site, engine=engine)
    add(site, pod, "later").start()
    sound(engine)
    pod.remove(force=True)
    engine.close()


def remount(directory, how):
    subprocess.run(["mount", "-o", f"remount,{how}", directory], check=True)


def refusals(change):
    """The types of the errors that a change fails with."""
    with pytest.raises(podcore.PodcoreError) as caught:
        change()
    return {type(error) for error in getattr(caught.value, "exceptions", [caught.value])}


def test_f41_on_a_read_only_disk_all_is_seen_and_nothing_is_changed(site, small):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one", command=POLITE)
    add(site, pod, "new")
    one.start()
    await_ready(one)
    # Nobody may have a file open for writing then; the container itself has none.
    with engine.host.store.read() as view:
        kill_hard(view.container(one.id).monitor.pid)
    engine.close()
    remount(small, "ro")

    engine = site.engine()
    pod, one = engine.pod("web"), engine.container(one.id)
    for change in (
        pod.stop,
        pod.restart,
        engine.container("web/new").start,
        lambda: add(site, pod, "late"),
        lambda: engine.create_pod("other"),
        lambda: engine.volumes.create("data"),
        lambda: pod.remove(force=True),
    ):
        assert refusals(change) == {podcore.ReadOnlyStoreError}
    assert states(pod) == {"one": "running", "new": "configured"}
    assert one.inspect().pid == one.pid
    assert says(one, "ready")
    assert "web/one" in site.cli("ps", "--format", "{{.PodName}}/{{.Names}}").stdout
    refused = site.cli("stop", one.id, check=False)
    assert refused.returncode != 0
    assert "hint: is its filesystem mounted read-only" in refused.stderr
    assert one.status == "running"

    engine.close()
    remount(small, "rw")
    engine = site.engine()
    pod = engine.pod("web")
    pod.stop(timeout=30)
    assert states(pod) == {"one": "exited", "new": "configured"}
    pod.remove()
    sound(engine)
    engine.close()


TALKATIVE = """
trap "exit 7" TERM
trap "head -c 200000 /dev/zero | tr '\\0' x; touch /out/said" USR1
echo ready
while :; do sleep 1000 & wait; done
"""


def test_f49_on_a_full_disk_a_container_is_not_held_up_by_its_log(site, small):
    os.mkdir(f"{site.base}/out")
    mount = podcore.Mount(type="bind", source=f"{site.base}/out", target="/out")
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    command = ["sh", "-c", TALKATIVE]
    one = add(site, pod, "one", command=command, rootfs_mode="overlay", mounts=[mount])
    one.start()
    await_ready(one)
    fill(small)

    os.kill(one.pid, signal.SIGUSR1)
    eventually(lambda: os.path.exists(f"{site.base}/out/said"), what="all of it being taken")
    one.stop(timeout=30)

    assert one.exit_code == 7
    assert next(one.logs()).text == "ready"
    throw_out(small)
    one.start()
    eventually(
        lambda: [entry.text for entry in one.logs()].count("ready") == 2,
        timeout=30,
        what="the first line after the one that was cut short",
    )
    pod.remove(force=True)
    engine.close()
