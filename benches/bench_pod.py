"""A pod of 50 sleeping containers on real runtimes, beside the floor."""

import statistics

import pytest

from floor import WORKERS, Floor

COUNT = 50
MEMBERS = 10
# Enough to see that the answers are right.
SHORT_COUNT = 4
# How many times as long as the floor podcore may take.
LIMITS = {"runc": 1.3, "crun": 1.4}


@pytest.fixture
def count(benchmark):
    return SHORT_COUNT if benchmark.disabled else COUNT


@pytest.fixture
def pod(site, count):
    with site.engine(max_workers=WORKERS) as engine:
        pod = engine.create_pod("bench", share=())
        for number in range(count):
            pod.create_container(
                f"c{number}",
                rootfs=site.rootfs,
                # The floor runs on the same files; an overlay is gone when podcore's pod is down.
                rootfs_mode="direct",
                command=["/bin/sleep", "1000"],
            )
        yield pod


def states(pod):
    return {str(status) for status in pod.status().values()}


def test_start(benchmark, site, pod, count):
    rounds = 1 if benchmark.disabled else 5
    pod.start()
    configs = [f"{site.root}/containers/{c.id}/bundle/config.json" for c in pod.containers()]
    assert len(configs) == count
    floor = Floor(f"{site.base}/f", site.runtime, configs)
    floors = []

    def stop_and_measure_the_floor():
        pod.stop(timeout=0, cleanup=True)
        floors.append(floor.start())
        floor.remove()

    benchmark.group = f"start of {count} containers on {site.runtime}"
    benchmark.pedantic(pod.start, setup=stop_and_measure_the_floor, rounds=rounds)

    assert states(pod) == {"running"}
    benchmark.extra_info["subject"] = "podcore"
    benchmark.extra_info["target"] = {"floor": LIMITS[site.runtime]}
    benchmark.extra_info["peers"] = {"floor": statistics.median(floors)}


@pytest.fixture(params=["infra", "pinned"])
def sharing(request, benchmark, site):
    """A pod as users have it: shared namespaces, and an overlay for each container."""
    with site.engine(max_workers=WORKERS) as engine:
        pod = engine.create_pod("bench", infra=request.param == "infra")
        for number in range(SHORT_COUNT if benchmark.disabled else MEMBERS):
            pod.create_container(f"c{number}", rootfs=site.rootfs, command=["/bin/sleep", "1000"])
        yield pod


def test_start_of_a_pod_that_shares(benchmark, site, sharing):
    rounds = 1 if benchmark.disabled else 9
    sharing.start()
    members = [container.id for container in sharing.containers()]
    infra = sharing.inspect().infra_container_id
    configs = [
        f"{site.root}/containers/{key}/bundle/config.json"
        for key in filter(None, (infra, *members))
    ]
    floor = Floor(f"{site.base}/f", site.runtime, configs, lower=site.rootfs, infra=bool(infra))
    floors = []

    def measure_the_floor_and_stop():
        # In this order: the floor's containers join what is pinned, which is gone then.
        floors.append(floor.start())
        floor.remove()
        sharing.stop(timeout=0, cleanup=True)

    kind = "an infra container" if infra else "pinned namespaces"
    benchmark.group = f"start of {len(members)} containers with {kind} on {site.runtime}"
    benchmark.pedantic(sharing.start, setup=measure_the_floor_and_stop, rounds=rounds)

    assert states(sharing) == {"running"}
    benchmark.extra_info["subject"] = "podcore"
    benchmark.extra_info["target"] = {"floor": LIMITS[site.runtime]}
    benchmark.extra_info["peers"] = {"floor": statistics.median(floors)}
