"""What the process of a container is given, seen from inside."""

import os
import resource
import shutil
import signal

import pytest

import podcore
from harness.polling import eventually
from pods.inside import add, proc_file, ran, sh, written

# CapEff and the others, with CHOWN (0) taken away and NET_ADMIN (12) added to podman's eleven.
CAPABILITIES = 0x800405FB & ~0b1 | 1 << 12


@pytest.fixture
def pod(site):
    return site.engine().create_pod("web")


def status(container, *fields):
    """Lines of /proc/self/status of the container's own process."""
    text = proc_file(container, "status").splitlines()
    lines = dict(line.split(":\t", 1) for line in text if ":\t" in line)
    return [lines[field].strip() for field in fields]


def test_a_user_gets_through_directories_that_were_made_for_the_container(site, pod):
    os.makedirs(f"{site.base}/bare/bin")
    shutil.copy(f"{site.rootfs}/bin/busybox", f"{site.base}/bare/bin/busybox")
    settings = {"rootfs": f"{site.base}/bare", "user": "1000", "cwd": "/made/for/it"}
    command = ["/bin/busybox", "wc", "-l", "/etc/hosts", "/proc/self/comm"]
    old = os.umask(0o077)
    try:
        app = add(site, pod, "app", command=command, **settings)
        assert ran(app).splitlines()[1].split() == ["1", "/proc/self/comm"]
    finally:
        os.umask(old)


def test_user_group_environment_and_directory(site, pod):
    with open(f"{site.base}/env", "w", encoding="utf-8") as file:
        file.write("# a comment\nFROM_FILE=file\nBOTH=file\nQUOTED='as is'\n")
    container = add(
        site,
        pod,
        "app",
        user="user",
        group_add=["7", "root"],
        cwd="/var/tmp/deep",
        env={"BOTH": "given", "EMPTY": ""},
        env_files=[f"{site.base}/env"],
        command=["/bin/sh", "-c", "id -u; id -g; id -G; pwd; env | sort"],
    )
    lines = ran(container).splitlines()
    assert lines[:2] == ["1000", "1000"]
    assert set(lines[2].split()) == {"1000", "7", "0"}
    assert lines[3] == "/var/tmp/deep"
    variables = dict(line.split("=", 1) for line in lines[4:])
    assert variables.pop("PATH")
    assert variables.pop("HOME") == "/home"
    assert variables["HOSTNAME"] == "web"
    assert variables["FROM_FILE"] == "file"
    assert variables["BOTH"] == "given"
    assert variables["EMPTY"] == ""
    assert variables["QUOTED"] == "'as is'"
    # Nothing of podcore's own environment.
    assert set(variables) <= {
        "HOSTNAME",
        "FROM_FILE",
        "BOTH",
        "EMPTY",
        "QUOTED",
        "PWD",
        "SHLVL",
        "OLDPWD",
        "container",
    }


@pytest.mark.runtimes("runc")
@pytest.mark.parametrize(
    ("user", "seen"), [("7:9", "7 9"), ("user:root", "1000 0"), ("0", "0 0"), ("12", "12 0")]
)
def test_a_user_is_a_name_or_a_number_with_or_without_a_group(site, pod, user, seen):
    script = "echo $(id -u) $(id -g)"
    assert ran(add(site, pod, "app", user=user, command=["/bin/sh", "-c", script])) == seen


@pytest.mark.runtimes("runc")
def test_a_user_that_the_rootfs_does_not_know_is_named(site, pod):
    container = add(site, pod, "app", user="nobody-here")
    with pytest.raises(podcore.InvalidArgumentError, match="nobody-here"):
        container.start()
    assert container.status == "configured"


def test_limits_and_capabilities(site, pod):
    container = add(
        site,
        pod,
        "app",
        ulimits={"nofile": (100, 200), "core": (0, 0)},
        cap_add=["net_admin"],
        cap_drop=["CAP_CHOWN"],
        oom_score_adj=345,
    )
    pod.start()
    inherited, permitted, effective, bounding, ambient = (
        int(value, 16)
        for value in status(container, "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    )
    assert permitted == effective == bounding == CAPABILITIES
    assert inherited == ambient == 0
    assert status(container, "NoNewPrivs", "Seccomp") == ["1", "2"]
    assert resource.prlimit(container.pid, resource.RLIMIT_NOFILE) == (100, 200)
    # Not the soft one: runc is written in Go, which raises its own when it starts, and on some
    # hosts does not take that back for what it executes.
    assert sh(container, "ulimit -Hn; ulimit -c") == "200\n0"
    assert sh(container, "cat /proc/1/oom_score_adj") == "345"
    # What is exec'ed is held to the same.
    assert int(sh(container, "grep CapBnd /proc/self/status").split()[1], 16) == CAPABILITIES
    assert "Seccomp:\t2" in sh(container, "cat /proc/self/status")
    assert sh(container, "chown 1 /tmp || echo refused").endswith("refused")


@pytest.mark.runtimes("runc")
def test_all_capabilities_can_be_dropped_and_one_given_back(site, pod):
    container = add(site, pod, "app", cap_drop=["all"], cap_add=["kill"], no_new_privileges=False)
    pod.start()
    assert int(status(container, "CapEff")[0], 16) == 1 << 5
    assert status(container, "NoNewPrivs") == ["0"]


def test_init_reaps_what_its_child_leaves(site, pod):
    script = "(sleep 0 &); exec sleep 1000"
    container = add(site, pod, "app", init=True, command=["/bin/sh", "-c", script])
    pod.start()
    assert sh(container, "tr '\\0' ' ' < /proc/1/cmdline").split()[0] == "/dev/podcore-init"
    assert (
        sh(container, "until ! ps -o stat | grep -q Z; do usleep 20000; done; echo none") == "none"
    )
    # It passes the signal on, and sleep has no handler that would keep it.
    container.stop(timeout=30)
    assert container.exit_code == 128 + signal.SIGTERM


def test_the_stop_signal_is_the_one_that_was_asked_for(site, pod):
    script = 'trap "echo got USR1; exit 3" USR1; echo ready; while :; do usleep 20000; done'
    container = add(site, pod, "app", stop_signal="usr1", command=["/bin/sh", "-c", script])
    pod.start()
    eventually(lambda: "ready" in written(container))
    container.stop(timeout=30)
    assert container.exit_code == 3
    assert written(container) == "ready\ngot USR1"


@pytest.mark.runtimes("runc")
def test_a_terminal_is_one(site, pod):
    script = "test -t 0 && test -t 1 && test -t 2 && test -c /dev/console && tty"
    container = add(site, pod, "app", terminal=True, command=["/bin/sh", "-c", script])
    assert ran(container).strip() == "/dev/pts/0"


@pytest.mark.runtimes("runc")
def test_stdin_is_empty_unless_it_is_kept_open(site, pod):
    container = add(site, pod, "app", command=["/bin/sh", "-c", "cat; echo end"])
    assert ran(container) == "end"
    waiting = add(site, pod, "waiting", stdin=True, command=["/bin/cat"])
    waiting.start()
    with pytest.raises(TimeoutError):
        waiting.wait(timeout=0.2)


def test_sysctls_of_its_own_namespaces(site, pod):
    container = add(
        site,
        pod,
        "app",
        namespaces={"net": "private", "ipc": "private"},
        sysctls={"net.ipv4.ip_default_ttl": "99", "kernel.shmmni": "123"},
    )
    pod.start()
    assert sh(container, "cd /proc/sys; cat net/ipv4/ip_default_ttl kernel/shmmni") == "99\n123"


@pytest.mark.runtimes("runc")
@pytest.mark.parametrize(
    ("sysctls", "namespaces"),
    [
        ({"kernel.panic": "1"}, {}),
        ({"vm.swappiness": "1"}, {}),
        ({"kernel.core_pattern": "|/bin/evil"}, {}),  # CVE-2022-0811
        ({"net.ipv4.ip_forward": "1"}, {"net": "host"}),
        ({"kernel.shmmni": "1"}, {"ipc": "host"}),
        ({"net.ipv4.ip_forward": "1\nkernel.panic=1"}, {}),
    ],
)
def test_sysctls_of_the_host_are_refused(site, pod, sysctls, namespaces):
    with pytest.raises(podcore.InvalidArgumentError, match="sysctls"):
        add(site, pod, "app", sysctls=sysctls, namespaces=namespaces)


def test_devices_are_those_that_were_asked_for(site, pod):
    # Not one of those that a runtime allows in any case.
    device = next(
        path for path in ("/dev/fuse", "/dev/loop-control", "/dev/tty0") if os.path.exists(path)
    )
    container = add(site, pod, "app", devices=[f"{device}:/dev/mine:r"], cap_add=["mknod"])
    pod.start()
    number = os.stat(device).st_rdev
    assert sh(container, "stat -c %t:%T /dev/mine") == f"{os.major(number):x}:{os.minor(number):x}"
    assert sh(container, ": < /dev/mine && echo opened") == "opened"
    # Only for reading, and no other device, even for who may make nodes.
    assert sh(container, "(: > /dev/mine) 2>/dev/null || echo refused") == "refused"
    script = "mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem 2>/dev/null || echo refused"
    assert sh(container, script) == "refused"


@pytest.mark.runtimes("runc")
def test_annotations_that_change_what_a_runtime_does_are_refused(site, pod):
    for name in (
        "org.systemd.property.ExecStart",
        "run.oci.handler",
        "run.oci.keep_original_groups",
    ):
        with pytest.raises(podcore.InvalidArgumentError, match="annotations"):
            add(site, pod, "app", annotations={name: "'x'"})
    container = add(site, pod, "app", annotations={"com.example.owner": "me"})
    assert container.inspect().spec.annotations == {"com.example.owner": "me"}
    container.start()
