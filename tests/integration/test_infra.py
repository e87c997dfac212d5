"""The infra container and the namespaces that a pod shares, seen from inside."""

import os
import signal
import threading

import pytest

import podcore
from harness.polling import eventually
from integration.builders import POLITE, add, await_ready, events, new_pod, outcomes, states
from podcore.lifecycle import stop as lifecycle_stop
from podcore.operations import sharing

SHARED = ("ipc", "net", "uts")


def inside(container, *command):
    result = container.exec(command, timeout=60)
    assert result.exit_code == 0, result
    return result.stdout.decode().strip()


def namespace(pid, kind):
    return os.readlink(f"/proc/{pid}/ns/{kind}")


def infra_of(pod):
    return pod._engine.container(pod.inspect().infra_container_id)


def test_containers_see_each_other_on_localhost(site):
    pod = new_pod(site, share=SHARED)
    serve = "trap 'exit 0' TERM; (while :; do echo hello | nc -l -p 8080; done) & echo ready; wait"
    server = add(site, pod, "server", command=["sh", "-c", serve])
    client = add(site, pod, "client", "server")
    pod.start()
    await_ready(server)

    def ask():
        return client.exec(["nc", "-w", "5", "127.0.0.1", "8080"], timeout=60).stdout

    assert eventually(ask) == b"hello\n"


def test_they_share_host_name_and_dev_shm(site):
    pod = new_pod(site, share=SHARED, hostname="together")
    a, b = add(site, pod, "a"), add(site, pod, "b")
    pod.start()

    inside(a, "sh", "-c", "echo secret > /dev/shm/note")

    assert inside(b, "cat", "/dev/shm/note") == "secret"
    assert inside(a, "hostname") == inside(b, "hostname") == "together"
    for kind in SHARED:
        assert (
            namespace(a.pid, kind) == namespace(b.pid, kind) == namespace(infra_of(pod).pid, kind)
        )
        assert namespace(a.pid, kind) != namespace("self", kind)
    for kind in ("pid", "mnt"):
        assert namespace(a.pid, kind) != namespace(b.pid, kind)


@pytest.mark.runtimes("crun")
def test_the_default_is_to_share_ipc_net_and_uts(site):
    assert site.engine().create_pod("web").inspect().share == SHARED


@pytest.mark.runtimes("crun")
def test_a_pod_that_shares_nothing_has_no_infra_container(site):
    pod = new_pod(site, share=())
    a, b = add(site, pod, "a"), add(site, pod, "b")
    pod.start()

    assert pod.inspect().infra_container_id == ""
    for kind in SHARED:
        assert namespace(a.pid, kind) != namespace(b.pid, kind)
    assert inside(a, "hostname") == a.id[:12]


@pytest.mark.runtimes("crun")
def test_the_infra_container_starts_first_and_stops_last(site):
    pod = new_pod(site, share=SHARED)
    a = add(site, pod, "a", command=POLITE)
    b = add(site, pod, "b", "a", command=POLITE)
    pod.start()
    await_ready(a, b)
    name = infra_of(pod).name

    pod.stop(timeout=60)

    assert events(pod._engine, "start") == [name, "a", "b"]
    assert events(pod._engine, "stop") == ["b", "a", name]
    assert infra_of(pod).status == "exited"


@pytest.mark.runtimes("crun")
def test_it_is_machinery_and_shown_nowhere(site):
    pod = new_pod(site, share=SHARED)
    infra_id = pod.inspect().infra_container_id
    assert pod.state == "created"
    with pytest.raises(podcore.NoSuchContainerError, match="no containers in pod"):
        pod.start()
    container = add(site, pod, "a")

    reports = [pod.start(), pod.pause(), pod.unpause(), pod.restart(timeout=0), pod.kill()]

    assert [outcomes(report) for report in reports] == [{"a": "done"}] * 5
    assert list(pod.status()) == [container.id]
    assert [c.id for c in pod.containers()] == [container.id]
    assert [member.id for member in pod.inspect().containers] == [container.id]
    assert pod.inspect().to_dict()["InfraContainerID"] == infra_id
    assert pod.state == "exited"
    assert outcomes(pod.stop()) == {"a": "ignored"}
    with pytest.raises(podcore.NoSuchContainerError):
        pod.container(f"{pod.id[:12]}-infra")
    assert pod._engine.container(infra_id).name == f"{pod.id[:12]}-infra"
    assert outcomes(pod.remove()) == {"a": "done"}


@pytest.mark.runtimes("crun")
def test_it_stays_while_a_paused_container_needs_it(site):
    pod = new_pod(site, share=SHARED)
    paused = add(site, pod, "paused")
    add(site, pod, "run")
    pod.start()
    paused.pause()

    pod.stop(timeout=0)

    assert states(pod) == {"paused": "paused", "run": "exited"}
    assert infra_of(pod).status == "running"


@pytest.mark.runtimes("crun")
def test_one_container_brings_it_up(site):
    pod = new_pod(site, share=SHARED)
    container = add(site, pod, "a")

    container.start()

    assert infra_of(pod).status == "running"
    assert namespace(container.pid, "net") == namespace(infra_of(pod).pid, "net")


@pytest.mark.runtimes("crun")
def test_a_container_can_opt_out_or_join_another_one(site):
    pod = new_pod(site, share=SHARED)
    namespaces = {"net": "private", "pid": "private"}
    base = add(site, pod, "base", namespaces=namespaces)
    joined = {"net": "container:base", "pid": "container:base"}
    sidecar = add(site, pod, "sidecar", namespaces=joined)
    pod.start()

    assert sidecar.inspect().dependencies == (base.id,)
    assert namespace(base.pid, "net") != namespace(infra_of(pod).pid, "net")
    for kind in ("net", "pid", "uts"):
        assert namespace(sidecar.pid, kind) == namespace(base.pid, kind)
    assert inside(sidecar, "cat", "/proc/1/comm") == "sleep"


@pytest.mark.runtimes("crun")
def test_pid_and_cgroup_are_shared_on_request(site):
    pod = new_pod(site, share=("pid", "cgroup"))
    a, b = add(site, pod, "a"), add(site, pod, "b")
    pod.start()

    for kind in ("pid", "cgroup"):
        assert namespace(a.pid, kind) == namespace(b.pid, kind)
    assert inside(a, "cat", "/proc/1/comm") == "catatonit"


@pytest.mark.runtimes("runc")
def test_a_killed_infra_container_is_started_again_with_the_pod(site):
    pod = new_pod(site, share=SHARED)
    container = add(site, pod, "a")
    pod.start()
    infra_of(pod).kill()
    pod.kill()

    pod.start()

    assert namespace(container.pid, "net") == namespace(infra_of(pod).pid, "net")


def test_what_starts_later_joins_those_that_outlive_an_infra_container(site):
    pod = new_pod(site, share=(*SHARED, "cgroup"), hostname="together")
    a, b, paused = (add(site, pod, name) for name in ("a", "b", "paused"))
    pod.start()
    paused.pause()
    b.stop(timeout=0)
    inside(a, "sh", "-c", "echo secret > /dev/shm/note")
    before = {kind: namespace(a.pid, kind) for kind in (*SHARED, "cgroup")}
    infra_of(pod).kill()
    eventually(lambda: infra_of(pod).status == "exited")

    b.start()

    for one in (a, b, paused, infra_of(pod)):
        assert {kind: namespace(one.pid, kind) for kind in before} == before
    assert inside(b, "cat", "/dev/shm/note") == "secret"
    assert inside(b, "hostname") == "together"
    # And when they are gone, a new one makes new namespaces as ever.
    pod.stop(timeout=0)
    pod.start()
    for kind in SHARED:
        assert namespace(a.pid, kind) == namespace(infra_of(pod).pid, kind)


def test_a_shared_pid_namespace_ends_with_its_infra_container(site):
    pod = new_pod(site, share=("pid", "net"))
    a = add(site, pod, "a")
    alone = add(site, pod, "alone", namespaces={"pid": "private"})
    pod.start()
    net = namespace(alone.pid, "net")
    infra_of(pod).kill()
    eventually(lambda: a.status == "exited")

    a.start()

    assert namespace(a.pid, "pid") == namespace(infra_of(pod).pid, "pid")
    for one in (a, alone, infra_of(pod)):
        assert namespace(one.pid, "net") == net


@pytest.mark.runtimes("crun")
def test_no_member_is_touched_when_it_can_not_be_started(site):
    pod = new_pod(site, share=SHARED, engine=site.engine(conmon="/does/not/exist"))
    add(site, pod, "a")

    for verb in (pod.start, pod.container("a").start):
        with pytest.raises(podcore.MonitorError):
            verb()

    assert states(pod) == {"a": "configured"}
    assert infra_of(pod).status == "configured"


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("before", ["started", "never started"])
def test_a_pod_starts_after_its_state_directory_was_moved(site, before):
    engine = site.engine()
    pod = new_pod(site, share=SHARED, engine=engine)
    add(site, pod, "a")
    if before == "started":
        pod.start()
        pod.stop(timeout=0)
    engine.close()
    moved = f"{site.base}/moved"
    os.rename(site.root, moved)
    site.root = moved
    pod = site.engine().pod("web")
    allowed = infra_of(pod).security()

    pod.start()

    assert namespace(pod.container("a").pid, "net") == namespace(infra_of(pod).pid, "net")
    assert infra_of(pod).security().keys() == allowed.keys()


@pytest.mark.runtimes("crun")
def test_a_stop_leaves_it_to_who_is_just_starting_something(site):
    pod, other = new_pod(site, share=SHARED), site.engine()
    container = add(site, pod, "a")

    stopped = []

    def stop_it(container_id, name, doing):
        if doing == "starting":
            stopped.append(outcomes(other.pod("web").stop()))

    pod.start(progress=stop_it)

    assert stopped == [{"a": "ignored"}]
    assert namespace(container.pid, "net") == namespace(infra_of(pod).pid, "net")


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("verb", ["start", "restart"])
@pytest.mark.parametrize("whole", [True, False], ids=["pod", "container"])
def test_a_start_waits_for_who_is_just_stopping_it(site, monkeypatch, verb, whole):
    pod, other = new_pod(site, share=SHARED), site.engine()
    container = add(site, pod, "a")
    pod.start()
    target = other.pod("web") if whole else other.container("web/a")
    failed = []

    def call():
        try:
            getattr(target, verb)()
        except podcore.PodcoreError as error:
            failed.append(error)

    caller = threading.Thread(target=call)
    finish = lifecycle_stop.finish_stop

    def finish_late(*args, **kwargs):
        caller.start()
        caller.join(0.3)
        assert caller.is_alive(), "it waits"
        return finish(*args, **kwargs)

    monkeypatch.setattr(lifecycle_stop, "finish_stop", finish_late)
    pod.stop(timeout=0)
    monkeypatch.undo()
    caller.join()

    assert failed == []
    assert namespace(container.pid, "net") == namespace(infra_of(pod).pid, "net")


@pytest.mark.runtimes("crun")
def test_the_last_of_several_stops_need_not_get_its_lock(site, monkeypatch):
    pod = new_pod(site, share=SHARED)
    add(site, pod, "a")
    pod.start()
    # When it is looked at under the lock, another stop has not come to its end; it has a moment
    # later, and found the lock held.
    looks = iter([True, False, False])
    monkeypatch.setattr(sharing, "_in_use", lambda host, pod: next(looks))

    pod.stop(timeout=0)

    assert infra_of(pod).status == "exited"
    assert list(looks) == []


@pytest.mark.runtimes("crun")
def test_one_that_somebody_is_stopping_by_its_id_is_no_state_of_a_member(site, monkeypatch):
    pod, other = new_pod(site, share=SHARED), site.engine()
    container = add(site, pod, "a")
    infra = infra_of(pod)
    infra.start()
    os.kill(infra.pid, signal.SIGSTOP)
    finish = lifecycle_stop.finish_stop

    def finish_late(*args, **kwargs):
        for target in (other.pod("web"), other.container("web/a")):
            with pytest.raises(podcore.DependencyNotRunningError, match="stopping") as raised:
                target.start()
            assert raised.value.dependencies == (infra.id,)
        os.kill(pid, signal.SIGCONT)
        return finish(*args, **kwargs)

    pid = infra.pid
    monkeypatch.setattr(lifecycle_stop, "finish_stop", finish_late)
    infra.stop(timeout=0.1)

    assert container.status == "configured"
