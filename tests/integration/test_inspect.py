"""What ``inspect`` says about real pods."""

import json
from dataclasses import fields

import pytest

from integration.builders import add, new_pod
from podcore import ContainerSummary
from podcore.errors import NoSuchPodError


@pytest.mark.runtimes("crun")
def test_a_pod_is_described_with_its_containers_sorted_by_id(site):
    pod = new_pod(site, labels={"tier": "front"})
    containers = [add(site, pod, f"c{number}") for number in range(4)]
    pod.start()
    containers[0].kill()

    seen = pod.inspect()

    assert [member.id for member in seen.containers] == sorted(c.id for c in containers)
    assert {m.name: str(m.state) for m in seen.containers} == {
        "c0": "exited",
        "c1": "running",
        "c2": "running",
        "c3": "running",
    }
    assert (seen.name, seen.state, seen.labels) == ("web", "degraded", {"tier": "front"})
    assert seen.cgroup_path == f"{site.cgroup_parent}/{pod.id}"


@pytest.mark.runtimes("crun")
def test_the_dictionary_is_ready_for_json_and_has_podmans_names(site):
    pod = new_pod(site)
    container = add(site, pod, "a")

    described = json.loads(json.dumps(pod.inspect().to_dict()))

    expected = [{"Id": container.id, "Name": "a", "State": "configured"}]
    assert described["Containers"] == expected
    assert described["CgroupPath"].endswith(pod.id)
    assert described["InfraContainerID"] == ""


@pytest.mark.runtimes("crun")
def test_an_empty_pod_has_every_field(site):
    described = new_pod(site).inspect().to_dict()

    assert described["Containers"] == []
    assert described["InfraContainerID"] == ""
    assert described["CgroupPath"]


@pytest.mark.runtimes("crun")
def test_what_is_returned_is_a_copy(site):
    pod = new_pod(site, labels={"a": "1"})
    container = add(site, pod, "a", labels={"b": "2"}, env={"X": "y"})

    seen, described = pod.inspect(), pod.inspect().to_dict()
    seen.labels["a"] = "changed"
    described["Labels"]["a"] = "changed"
    described["Containers"].clear()
    mine = container.inspect()
    mine.spec.labels["b"] = "changed"
    mine.spec.env["X"] = "changed"
    container.inspect().to_dict().clear()

    assert pod.inspect().labels == {"a": "1"}
    assert container.inspect().spec.labels == {"b": "2"}
    assert container.inspect().spec.env == {"X": "y"}
    assert len(pod.inspect().containers) == 1


@pytest.mark.runtimes("crun")
def test_a_container_is_described_with_its_times_and_places(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    configured = container.inspect()
    pod.start()
    running = container.inspect()
    pod.stop(timeout=0)
    exited = container.inspect()

    assert (configured.started, configured.finished, configured.pid) == (None, None, None)
    assert running.created <= running.started
    assert running.pid > 0
    # conmon's clock has whole seconds in some versions.
    assert exited.finished >= int(running.started)
    assert (exited.pid, exited.exit_code, exited.oom_killed) == (None, 137, False)
    assert exited.cgroup_path == f"{site.cgroup_parent}/{pod.id}/{container.id}"
    assert json.dumps(exited.to_dict())


@pytest.mark.runtimes("crun")
def test_the_inspections_of_all_at_once_say_what_those_of_each_one_do(site):
    engine = site.engine()
    pods = [new_pod(site, name, engine=engine, share=("ipc",)) for name in ("web", "db")]
    containers = [add(site, pod, name) for pod in pods for name in ("b", "a")]
    pods[1].start()
    containers[2].kill()

    assert engine.containers() == containers
    assert engine.inspect_pods() == [pod.inspect() for pod in pods]
    assert engine.inspect_containers() == [container.inspect() for container in containers]
    assert engine.inspect_containers("db") == [one.inspect() for one in containers[2:]]
    with_infra = engine.inspect_containers("db", infra=True)
    assert [facts.name for facts in with_infra[:2]] == ["b", "a"]
    assert [facts.id for facts in with_infra[2:]] == [pods[1].inspect().infra_container_id]
    with pytest.raises(NoSuchPodError):
        engine.inspect_containers("nope")

    for chosen, infra in ((None, False), (None, True), ("db", False), ("db", True)):
        lines = engine.list_containers(chosen, infra=infra)
        facts = engine.inspect_containers(chosen, infra=infra)
        assert [line.command for line in lines] == [one.spec.command for one in facts]
        assert [line.labels for line in lines] == [one.spec.labels for one in facts]
        same = {field.name for field in fields(ContainerSummary)} - {"command", "labels"}
        for line, one in zip(lines, facts, strict=True):
            assert {name: getattr(line, name) for name in same} == {
                name: getattr(one, name) for name in same
            }
        alive = [line for line in lines if line.state == "running"]
        assert engine.list_containers(chosen, infra=infra, alive=True) == alive
        by_age = sorted(lines, key=lambda line: line.created)
        assert engine.container_ids(chosen, infra=infra) == [line.id for line in by_age]
    for look in (engine.list_containers, engine.container_ids):
        with pytest.raises(NoSuchPodError):
            look("nope")
