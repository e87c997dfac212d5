"""Namespaces that the containers of a pod share: by an infra container, or pinned by mounts."""

import errno
import os
import signal

import pytest

import podcore
from harness import host
from harness.polling import eventually
from podcore.kernel import mounts, process
from pods.inside import add, namespaces, proc_file, ran, sh, shared

SHARED = {"ipc", "net", "uts"}
SERVE = "while true; do nc -l -p 8080 -e /bin/echo hello; done"


@pytest.fixture(params=[True, False], ids=["infra", "pinned"])
def infra(request):
    return request.param


@pytest.fixture
def pod(site, infra):
    return site.engine().create_pod("web", infra=infra, hostname="shop")


def test_containers_share_network_ipc_and_host_name(site, pod):
    one = add(site, pod, "one")
    two = add(site, pod, "two", command=["/bin/sh", "-c", SERVE])
    pod.start()

    assert shared(one.pid, two.pid) == SHARED
    assert not shared(one.pid, os.getpid())
    assert sh(one, "hostname; cat /etc/hostname; echo $HOSTNAME") == "shop\nshop\nshop"
    assert "127.0.0.1\tshop one two\n" in sh(one, "cat /etc/hosts") + "\n"
    assert sh(one, "until nc two 8080; do usleep 20000; done") == "hello"
    # /dev/shm goes with the IPC namespace.
    sh(one, "echo seen > /dev/shm/note")
    assert sh(two, "cat /dev/shm/note; stat -c %a /dev/shm") == "seen\n1777"
    assert sh(one, "cat /proc/sys/net/ipv4/ping_group_range").split() == ["0", "0"]
    assert sh(one, "ip -o link | wc -l; ip -o -4 addr show dev lo | wc -l") == "1\n1"


@pytest.mark.runtimes("crun")
def test_namespaces_outlive_their_members_until_the_pod_is_cleaned_up(site, pod, infra):
    one = add(site, pod, "one")
    pod.start()
    before = namespaces(one.pid)
    one.kill()
    one.start()
    after = namespaces(one.pid)
    assert {kind for kind in before if before[kind] == after[kind]} >= SHARED
    pod.stop(timeout=0)
    assert bool(pods_mounts(site)) is True  # /dev/shm, and what is pinned
    pod.stop(timeout=0, cleanup=True)
    assert pods_mounts(site) == []
    pod.start()
    assert sh(one, "hostname") == "shop"
    assert bool(pod.inspect().infra_container_id) is infra


@pytest.mark.runtimes("runc")
def test_pinned_namespaces_that_are_gone_are_made_again(site):
    pod = site.engine().create_pod("web", infra=False)
    one = add(site, pod, "one")
    pod.start()
    pod.stop(timeout=0)
    for path in pods_mounts(site):
        mounts.unmount(path)  # as after a reboot with the run directory on disk
    pod.start()
    assert sh(one, "hostname") == "web"
    assert not shared(one.pid, os.getpid())
    assert len(pods_mounts(site)) == len(SHARED) + 1


@pytest.mark.runtimes("runc")
@pytest.mark.parametrize("kind", ["pid", "cgroup"])
def test_what_only_a_process_can_hold_is_refused_without_one(site, kind):
    engine = site.engine()
    with pytest.raises(podcore.InvalidArgumentError, match="only a process can hold"):
        engine.create_pod("web", share=["net", kind], infra=False)
    assert engine.pods() == []


def test_pid_and_cgroup_are_shared_on_request(site):
    pod = site.engine().create_pod("web", share=["pid", "cgroup"])
    one, two = add(site, pod, "one"), add(site, pod, "two", command=["/bin/sleep", "2000"])
    pod.start()
    assert shared(one.pid, two.pid) == {"pid", "cgroup"}
    seen = sh(one, "cat /proc/1/comm; ps -o args")
    assert seen.splitlines()[0] == "catatonit"
    assert "/bin/sleep 2000" in seen
    # The end of one is not the end of the others, and nothing of it stays.
    two.stop(timeout=0)
    assert two.exit_code == 137
    assert "sleep 2000" not in sh(one, "ps -o args")


@pytest.mark.runtimes("runc")
def test_nothing_is_shared_and_no_infra_container_made_for_an_empty_share(site):
    pod = site.engine().create_pod("web", share=())
    one, two = add(site, pod, "one"), add(site, pod, "two")
    pod.start()
    assert not shared(one.pid, two.pid)
    assert pod.inspect().infra_container_id == ""
    assert pods_mounts(site) == []
    assert sh(one, "hostname") == one.id[:12]


def test_a_container_opts_out_or_joins_another(site):
    pod = site.engine().create_pod("web")
    base = add(site, pod, "base")
    alone = add(site, pod, "alone", namespaces=dict.fromkeys(SHARED, "private"), hostname="hermit")
    outside = add(site, pod, "outside", namespaces={"net": "host", "uts": "host", "ipc": "host"})
    friend = add(
        site,
        pod,
        "friend",
        namespaces={"net": "container:alone", "uts": "container:alone", "ipc": "container:alone"},
    )
    guest = add(site, pod, "guest", namespaces={"pid": "container:base", "net": "private"})
    assert friend.inspect().dependencies == (alone.id,)
    assert guest.inspect().dependencies == (base.id,)
    pod.start()

    assert not shared(base.pid, alone.pid)
    assert sh(alone, "hostname; cat /etc/hostname") == "hermit\nhermit"
    assert "base" not in sh(alone, "cat /etc/hosts")

    assert shared(outside.pid, os.getpid()) == SHARED
    nodename = os.uname().nodename
    assert sh(outside, "hostname; cat /etc/hostname") == f"{nodename}\n{nodename}"

    assert shared(friend.pid, alone.pid) == SHARED
    assert sh(friend, "hostname; cat /etc/hostname; echo $HOSTNAME") == "hermit\nhermit\nhermit"
    sh(alone, "echo seen > /dev/shm/note")
    assert sh(friend, "cat /dev/shm/note") == "seen"

    assert shared(guest.pid, base.pid) == {"pid", "ipc", "uts"}
    assert "/bin/sleep 1000" in sh(guest, "cat /proc/1/cmdline | tr '\\0' ' '")

    # What was lent goes with its borrower.
    friend.stop(timeout=0)
    alone.stop(timeout=0)
    pod.start()
    sh(alone, "echo new > /dev/shm/note")
    assert sh(friend, "cat /dev/shm/note") == "new"


@pytest.mark.runtimes("runc")
def test_a_container_whose_namespace_is_joined_is_a_dependency(site):
    pod = site.engine().create_pod("web")
    alone = add(site, pod, "alone", namespaces={"net": "private"})
    friend = add(site, pod, "friend", namespaces={"net": "container:alone"})
    with pytest.raises(podcore.DependencyNotRunningError, match="alone"):
        friend.start()
    with pytest.raises(podcore.ContainerStateError, match="depend on it"):
        alone.remove()
    with pytest.raises(podcore.UnknownDependencyError, match="nobody"):
        add(site, pod, "lost", namespaces={"net": "container:nobody"})
    with pytest.raises(podcore.InvalidArgumentError, match="shares the host name of others"):
        add(site, pod, "named", hostname="mine")


@pytest.mark.runtimes("runc")
def test_a_pod_whose_infra_container_was_killed_starts_and_is_removed(site):
    pod = site.engine().create_pod("web")
    one, two = add(site, pod, "one"), add(site, pod, "two")
    pod.start()
    infra = site.engine().container(pod.inspect().infra_container_id)
    gone = process.identify(infra.pid)
    os.kill(gone.pid, signal.SIGKILL)
    eventually(lambda: infra.status == "exited", what="the end of the infra container")
    # Whoever lives in the namespaces keeps them, and who comes later joins them there.
    assert pod.status()[one.id] == "running"
    assert sh(one, "hostname") == "web"
    two.kill()
    pod.start()
    assert infra.status == "running"
    assert shared(one.pid, two.pid) == SHARED
    assert shared(infra.pid, two.pid) == SHARED
    os.kill(infra.pid, signal.SIGKILL)
    pod.remove(force=True)


def test_sysctls_of_a_shared_network_are_seen_by_all(site, pod):
    one = add(site, pod, "one", sysctls={"net.ipv4.ip_default_ttl": "77"})
    two = add(site, pod, "two")
    pod.start()
    assert sh(one, "cat /proc/sys/net/ipv4/ip_default_ttl") == "77"
    assert sh(two, "cat /proc/sys/net/ipv4/ip_default_ttl") == "77"


@pytest.mark.runtimes("runc")
def test_the_infra_container_is_minimal_and_no_member(site):
    pod = site.engine().create_pod("web")
    one = add(site, pod, "one", command=["/bin/true"])
    assert ran(one) == ""
    infra = site.engine().container(pod.inspect().infra_container_id)
    assert infra.name == f"{pod.id[:12]}-infra"
    assert proc_file(infra, "cmdline") == "/catatonit\0-P\0"
    assert "CapBnd:\t0000000000000000" in proc_file(infra, "status")
    assert sorted(os.listdir(f"/proc/{infra.pid}/root")) == [
        "catatonit",
        "dev",
        "etc",
        "proc",
        "sys",
    ]
    with pytest.raises(OSError, match="Read-only"):
        os.mkdir(f"/proc/{infra.pid}/root/x")
    assert [member.name for member in pod.inspect().containers] == ["one"]
    assert list(pod.status()) == [one.id]
    assert pod.state == "exited"


def pods_mounts(site):
    below = f"{site.run_root}/pods/"
    return [mount.mount_point for mount in host.mounts() if mount.mount_point.startswith(below)]


@pytest.mark.runtimes("runc")
def test_an_init_of_its_own_works_beside_the_one_of_a_shared_pid_namespace(site):
    pod = site.engine().create_pod("web", share=["pid"])
    script = "(sleep 0 &); exec sleep 1000"
    one = add(site, pod, "one", init=True, command=["/bin/sh", "-c", script])
    pod.start()
    script = "until ! ps -o stat | grep -q Z; do usleep 20000; done; echo none"
    assert sh(one, script) == "none"
    one.stop(timeout=30)
    assert one.exit_code == 128 + signal.SIGTERM


def test_a_full_disk_under_the_infra_containers_root_is_typed_and_leaves_nothing(site, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, site.engine() as engine:
        patched.setattr("shutil.copyfile", fail)
        with pytest.raises(podcore.ResourceExhaustedError, match="infra"):
            engine.create_pod("web")
        assert os.listdir(f"{site.root}/infra") == []
        assert engine.pods() == []
    with site.engine() as engine:
        engine.create_pod("web").remove()
