"""``Pod.start`` on real containers."""

import re

import pytest

import podcore
from harness.polling import eventually
from integration.builders import POLITE, add, diamond, events, new_pod, outcomes, states

NOWHERE = ["/bin/does-not-exist"]


def test_a_diamond_starts_with_its_dependencies_first(site):
    pod = new_pod(site)
    diamond(site, pod)

    report = pod.start()

    assert report.ok
    assert outcomes(report) == dict.fromkeys(("base", "left", "right", "top"), "done")
    started = events(pod._engine, "start")
    assert started[0] == "base"
    assert sorted(started[1:3]) == ["left", "right"]
    assert started[3] == "top"
    assert set(states(pod).values()) == {"running"}
    assert pod.state == "running"


def test_rows_stand_in_order_of_creation_and_carry_times(site):
    pod = new_pod(site)
    diamond(site, pod)

    report = pod.start()

    assert [row.name for row in report.rows] == ["base", "left", "right", "top"]
    assert all(0 <= row.began <= row.ended <= report.seconds for row in report.rows)


def test_a_failing_container_skips_its_dependents_and_nothing_else(site):
    pod = new_pod(site)
    add(site, pod, "db")
    bad = add(site, pod, "bad", "db", command=NOWHERE)
    child = add(site, pod, "child", "bad")
    grandchild = add(site, pod, "grandchild", "child", "db")
    add(site, pod, "apart", "db")

    with pytest.raises(podcore.PartialFailureError) as caught:
        pod.start()

    assert outcomes(caught.value.report) == {
        "db": "done",
        "bad": "failed",
        "child": "skipped",
        "grandchild": "skipped",
        "apart": "done",
    }
    errors = caught.value.errors
    assert list(errors) == [bad.id, child.id, grandchild.id]
    assert not isinstance(errors[bad.id], podcore.DependencyFailedError)
    for skipped in (child, grandchild):
        assert isinstance(errors[skipped.id], podcore.DependencyFailedError)
        assert errors[skipped.id].because == bad.id
        assert caught.value.report.row(skipped.id).because == bad.id
    assert states(pod) == {
        "db": "running",
        "bad": "configured",
        "child": "configured",
        "grandchild": "configured",
        "apart": "running",
    }


@pytest.mark.runtimes("runc")
def test_a_start_after_a_partial_failure_starts_the_rest(site, tmp_path):
    late = tmp_path / "late"
    late.mkdir()
    pod = new_pod(site)
    mounts = [podcore.Mount(type="bind", source=str(late), target="/mnt")]
    add(site, pod, "base")
    add(site, pod, "bad", "base", command=["/mnt/run"], rootfs_mode="overlay", mounts=mounts)
    add(site, pod, "top", "bad")
    with pytest.raises(podcore.PartialFailureError):
        pod.start()
    (late / "run").write_text("#!/bin/sh\nexec sleep 1000\n")
    (late / "run").chmod(0o755)

    report = pod.start()

    assert outcomes(report) == {"base": "ignored", "bad": "done", "top": "done"}
    assert pod.state == "running"


@pytest.mark.runtimes("crun")
def test_running_and_paused_containers_are_ignored(site):
    pod = new_pod(site)
    add(site, pod, "run")
    paused = add(site, pod, "still")
    pod.start()
    paused.pause()
    add(site, pod, "new")

    report = pod.start()

    assert outcomes(report) == {"run": "ignored", "still": "ignored", "new": "done"}
    assert states(pod) == {"run": "running", "still": "paused", "new": "running"}


@pytest.mark.runtimes("crun")
def test_a_running_container_is_fine_whatever_its_dependency_does(site):
    pod = new_pod(site)
    base = add(site, pod, "base")
    add(site, pod, "top", "base")
    other = add(site, pod, "other")
    pod.start()
    other.pause()
    base.kill()

    # Its dependency is started again; the dependent itself needs nothing.
    report = pod.start()

    assert outcomes(report) == {"base": "done", "top": "ignored", "other": "ignored"}


@pytest.mark.runtimes("crun")
def test_a_running_container_is_fine_when_its_dependency_cannot_start(site, tmp_path):
    gate = tmp_path / "gate"
    gate.mkdir()
    (gate / "run").write_text("#!/bin/sh\nexec sleep 1000\n")
    (gate / "run").chmod(0o755)
    mounts = [podcore.Mount(type="bind", source=str(gate), target="/mnt")]
    pod = new_pod(site)
    base = add(site, pod, "base", command=["/mnt/run"], rootfs_mode="overlay", mounts=mounts)
    add(site, pod, "top", "base")
    pod.start()
    base.kill()
    (gate / "run").unlink()

    with pytest.raises(podcore.PartialFailureError) as caught:
        pod.start()

    assert outcomes(caught.value.report) == {"base": "failed", "top": "ignored"}
    assert states(pod)["top"] == "running"


@pytest.mark.runtimes("crun")
def test_a_paused_dependency_does_not_satisfy_a_start(site):
    pod = new_pod(site)
    base = add(site, pod, "base")
    top = add(site, pod, "top", "base")
    pod.start()
    top.kill()
    base.pause()

    with pytest.raises(podcore.PartialFailureError) as caught:
        pod.start()

    error = caught.value.errors[top.id]
    assert isinstance(error, podcore.DependencyNotRunningError)
    assert error.dependencies == (base.id,)
    assert outcomes(caught.value.report) == {"base": "ignored", "top": "failed"}
    assert base.status == "paused"
    assert top.status in ("exited", "configured")  # the latter when it was created ahead


@pytest.mark.runtimes("runc")
def test_a_dependency_that_has_ended_by_then_is_named(site):
    def attempt():
        pod = new_pod(site)
        add(site, pod, "short", command=["true"])
        # Its own create gives `short` the time to end, and `top` is created ahead meanwhile.
        add(site, pod, "middle", "short", command=["true"])
        add(site, pod, "top", "middle")
        try:
            pod.start()
        except podcore.PartialFailureError as error:
            return pod, error
        pod.remove(force=True)  # each found its dependency running still: a new pod, a new try
        return None

    pod, caught = eventually(attempt, what="a start that finds its dependency gone")

    named = {
        edge
        for error in caught.errors.values()
        if isinstance(error, podcore.DependencyNotRunningError)
        for edge in error.dependencies
    }
    assert named
    assert named <= {pod.container("short").id, pod.container("middle").id}
    # What was created ahead in vain is `configured` again.
    assert "created" not in states(pod).values()
    assert states(pod)["top"] == "configured"


@pytest.mark.runtimes("runc")
def test_an_empty_pod_cannot_be_started(site):
    pod = new_pod(site)

    with pytest.raises(podcore.NoSuchContainerError, match="no containers in pod web have no dep"):
        pod.start()


@pytest.mark.runtimes("runc")
def test_a_second_start_changes_nothing(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()
    pid = container.pid

    report = pod.start()

    assert outcomes(report) == {"a": "ignored"}
    assert container.pid == pid
    assert container.inspect().restarts == 0


@pytest.mark.runtimes("crun")
def test_an_exited_container_is_started_again_with_a_clean_record(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()
    pod.kill()
    assert container.exit_code == 137

    pod.start()

    seen = container.inspect()
    assert (seen.state, seen.exit_code, seen.restarts) == ("running", None, 1)
    assert seen.finished is None


@pytest.mark.runtimes("crun")
def test_a_chain_of_twenty_starts_in_order(site):
    pod = new_pod(site)
    names = [f"c{number:02}" for number in range(20)]
    # Declared in reverse, so that the order of creation is of no help.
    specs = [
        podcore.ContainerSpec(
            name=name,
            rootfs=site.rootfs,
            rootfs_mode="ro",
            command=["sleep", "1000"],
            depends_on=names[number - 1 : number] if number else (),
        )
        for number, name in reversed(list(enumerate(names)))
    ]
    pod.create_containers(specs)

    assert pod.start().ok

    assert events(pod._engine, "start") == names
    assert pod.stop(timeout=0).ok
    assert events(pod._engine, "stop") == names[::-1]


@pytest.mark.slow
@pytest.mark.runtimes("crun")
def test_a_pod_of_a_hundred_containers(site):
    pod = new_pod(site)
    pod.create_containers(
        [
            podcore.ContainerSpec(
                name=f"c{number}",
                rootfs=site.rootfs,
                rootfs_mode="direct",
                command=["/bin/sleep", "1000"],
                depends_on=() if number < 10 else (f"c{number % 10}",),
            )
            for number in range(100)
        ]
    )

    assert pod.start().ok
    assert list(pod.status().values()) == ["running"] * 100
    assert pod.stop(timeout=0).ok
    assert {container.exit_code for container in pod.containers()} == {137}
    assert len(pod.remove().rows) == 100


@pytest.mark.runtimes("crun")
def test_progress_tells_of_every_container(site):
    pod = new_pod(site)
    add(site, pod, "good")
    add(site, pod, "bad", command=NOWHERE)
    add(site, pod, "child", "bad")
    told = []

    with pytest.raises(podcore.PartialFailureError):
        pod.start(progress=lambda key, name, phase: told.append((name, phase)))

    last = dict(told)
    assert last == {"good": "running", "bad": "failed", "child": "skipped"}


@pytest.mark.runtimes("runc", "crun")
def test_a_command_that_is_not_there_is_an_error_that_names_it(site):
    pod = new_pod(site)
    container = add(site, pod, "bad", command=NOWHERE)

    with pytest.raises(podcore.PodcoreError, match=re.escape("does-not-exist")):
        container.start()

    assert container.status == "configured"


@pytest.mark.runtimes("crun")
def test_one_container_needs_its_dependencies_running(site):
    pod = new_pod(site)
    base = add(site, pod, "base")
    top = add(site, pod, "top", "base")

    with pytest.raises(podcore.DependencyNotRunningError) as caught:
        top.start()

    assert caught.value.dependencies == (base.id,)
    base.start()
    top.start()
    top.start()
    assert states(pod) == {"base": "running", "top": "running"}


@pytest.mark.runtimes("crun")
def test_one_paused_container_is_not_started(site):
    pod = new_pod(site)
    container = add(site, pod, "a", command=POLITE)
    container.start()
    container.pause()

    with pytest.raises(podcore.ContainerStateError) as caught:
        container.start()

    assert caught.value.current == "paused"
