"""A pod of 50 sleeping containers as users get it, beside the same pod under podman."""

import statistics

import pytest

import podman
from podman import Podman

COUNT = 50
# Enough to see that the answers are right.
SHORT_COUNT = 3
COMMAND = ["/bin/sleep", "1000"]
# How many times faster than podman 4.3.1 podcore has to be.
STARTS = {"runc": 2.4, "crun": 3.5}
VERBS = 3.0


@pytest.fixture
def count(benchmark):
    return SHORT_COUNT if benchmark.disabled else COUNT


@pytest.fixture(params=["overlay", "direct"])
def rootfs_mode(request):
    return request.param


@pytest.fixture
def pod(site, count, rootfs_mode):
    with site.engine() as engine:
        pod = engine.create_pod("bench")
        for number in range(count):
            pod.create_container(
                f"c{number}", rootfs=site.rootfs, rootfs_mode=rootfs_mode, command=COMMAND
            )
        yield pod


@pytest.fixture
def peer(benchmark, site, count):
    """The same pod under podman, or None where it is not installed or not asked for."""
    if benchmark.disabled or not podman.installed():
        yield None
        return
    peer = Podman(f"{site.base}/podman", site.runtime)
    peer.create(site.rootfs, COMMAND, count)
    yield peer
    peer.remove()


def describe(benchmark, target, measured):
    benchmark.extra_info["subject"] = "podcore"
    if measured:
        benchmark.extra_info["target"] = {"podman": target}
        benchmark.extra_info["peers"] = {"podman": statistics.median(measured)}


def states(pod):
    return {str(status) for status in pod.status().values()}


def test_start(benchmark, site, pod, peer, count, rootfs_mode):
    measured = []

    def down():
        # With clean-up: podman's stop does that too, in a process that its conmon starts.
        pod.stop(timeout=0, cleanup=True)
        if peer is not None:
            measured.append(peer.time("start"))
            assert peer.running() == count
            peer.time("stop", "-t", "0")

    benchmark.group = f"start of {count} containers on {site.runtime}, {rootfs_mode} rootfs"
    benchmark.pedantic(pod.start, setup=down, rounds=1 if benchmark.disabled else 4)

    assert states(pod) == {"running"}
    describe(benchmark, STARTS[site.runtime], measured)


@pytest.mark.parametrize("rootfs_mode", ["overlay"], indirect=True)
@pytest.mark.parametrize("verb", ["stop", "kill", "pause"])
def test_verb(benchmark, site, pod, peer, count, verb):
    act = {"stop": lambda: pod.stop(timeout=0), "kill": pod.kill, "pause": pod.pause}[verb]
    options = ("-t", "0") if verb == "stop" else ()
    measured = []

    def up():
        pod.unpause()
        pod.start()
        if peer is not None:
            peer.time("start")
            measured.append(peer.time(verb, *options))
            if verb == "pause":
                peer.time("unpause")
            else:
                # podman records a kill only when it looks again.
                peer.time("stop", "-t", "0")

    benchmark.group = f"{verb} of {count} containers on {site.runtime}"
    benchmark.pedantic(act, setup=up, rounds=1 if benchmark.disabled else 4)

    assert states(pod) == {"paused"} if verb == "pause" else "running" not in states(pod)
    describe(benchmark, VERBS, measured)
