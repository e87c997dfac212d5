"""The config.json that podcore writes, run by the OCI runtimes themselves."""

import json
import os
import shutil
import subprocess
import tempfile
import uuid

import pytest

from harness import host
from harness.polling import eventually
from podcore import bundle
from podcore.bundle import hardening
from podcore.errors import InvalidArgumentError
from podcore.model import ContainerSpec, Mount
from podcore.specs import check_container

PRIVATE = {"ipc": None, "net": None, "uts": None, "pid": None, "cgroup": None}


class Bare:
    """A runtime without podcore: runs one container to its end and says what it printed."""

    def __init__(self, runtime, rootfs):
        # Not pytest's directory, which is private: a user namespace's root must get through.
        self.base = tempfile.mkdtemp(prefix="pc-bundle-", dir="/tmp")
        os.chmod(self.base, 0o755)
        self.runtime = runtime
        self.rootfs = f"{self.base}/rootfs"
        shutil.copytree(rootfs, self.rootfs, symlinks=True)
        self.cgroup = f"podcore-test-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._count = 0

    def run(self, command, *, request=None, **fields):
        self._count += 1
        fields.setdefault("rootfs", self.rootfs)
        fields.setdefault("rootfs_mode", "direct")
        directory = f"{self.base}/bundle-{self._count}"
        os.mkdir(directory)
        spec = check_container(ContainerSpec(name="t", command=command, **fields))
        identifier = f"{self.cgroup}-{self._count}"
        settings = {
            "container_id": identifier,
            "name": "t",
            "pod_id": "p",
            "pod_name": "p",
            "spec": spec,
            "hostname": "inside",
            "cgroup_path": f"{self.cgroup}/{self._count}",
            "directory": directory,
            "rootfs": self.rootfs,
            "namespaces": PRIVATE,
        }
        bundle.write(bundle.BundleRequest(**(settings | (request or {}))))
        argv = [self.runtime, "--root", f"{self.base}/state", "run", "-b", directory, identifier]
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def sh(self, script, **options):
        done = self.run(["/bin/sh", "-c", script], **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self):
        for mount in host.cgroup_mounts():
            for directory, _, _ in os.walk(f"{mount}/{self.cgroup}", topdown=False):
                eventually(lambda: self._removed(directory), timeout=10)  # noqa: B023 - called at once
        shutil.rmtree(self.base)

    @staticmethod
    def _removed(directory):
        try:
            os.rmdir(directory)
        except OSError:
            return not os.path.exists(directory)
        return True


@pytest.fixture
def bare(runtime, rootfs):
    place = Bare(runtime, rootfs)
    yield place
    place.close()


def test_the_default_profile_holds_inside(bare):
    lines = bare.sh(
        "grep -E '^(CapPrm|CapEff|CapBnd|CapInh|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status;"
        " ulimit -n; ulimit -Hn; hostname; cat /proc/self/oom_score_adj;"
        " ip -o link show up; wc -c < /proc/keys; (cat /proc/sys/vm/swappiness > /proc/sys/vm/swappiness) 2>&1;"
        " cat /proc/1/comm; ls /sys/firmware | wc -l",
        oom_score_adj=500,
    ).splitlines()
    status = dict(line.split(":\t") for line in lines if ":\t" in line)
    limits = hardening.ulimits({})  # less than 4096 where this process has less itself
    eleven = "00000000800405fb"
    assert (status["CapPrm"], status["CapEff"], status["CapBnd"]) == (eleven, eleven, eleven)
    assert (status["CapInh"], status["CapAmb"]) == ("0" * 16, "0" * 16)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert lines[7:11] == ["1024", str(limits[0]["hard"]), "inside", "500"]
    # The runtime brings the loopback of a new network namespace up, and there is no other.
    assert [line.split(": ")[1] for line in lines if "<" in line] == ["lo"]
    assert any("LOOPBACK,UP" in line for line in lines)
    assert any("Read-only file system" in line for line in lines)
    assert lines[-3:][1:] == ["sh", "0"]


def test_mounts_users_init_and_exit_codes(bare):
    os.mkdir(f"{bare.base}/data")
    done = bare.run(
        ["/bin/sh", "-c", "id -u; touch /data/x /root-file; touch /scratch/y && echo ok; exit 7"],
        user="user",
        init=True,
        read_only=True,
        mounts=[
            Mount(type="bind", target="/data", source=f"{bare.base}/data", read_only=True),
            Mount(type="tmpfs", target="/scratch", size="1m"),
        ],
    )
    assert done.stdout.splitlines() == ["1000", "ok"], done.stderr
    assert done.stderr.count("Read-only file system") == 2
    assert done.returncode == 7


def test_devices_sysctls_and_groups(bare):
    out = bare.sh(
        "cat /proc/sys/kernel/shmmni; id -G; head -c 1 /dev/mine | wc -c;"
        " mknod /tmp/m c 1 3 2>&1; ls /dev/kmsg 2>&1 || true",
        sysctls={"kernel.shmmni": "123"},
        group_add=["7", "user"],
        devices=["/dev/zero:/dev/mine:r"],
    ).splitlines()
    assert out[0] == "123"
    assert set(out[1].split()) == {"0", "7", "1000"}
    assert out[2] == "1"
    assert "Operation not permitted" in out[3]
    assert "kmsg" in out[4]


def test_strict_runs_as_nobody_on_the_host(bare):
    out = bare.sh(
        "id -u; cat /proc/self/uid_map; grep CapBnd /proc/self/status; touch /x 2>&1; ip -o link",
        profile="strict",
        request={"id_slot": 2},
    )
    lines = out.splitlines()
    assert lines[0] == "0"
    inside, outside, size = map(int, lines[1].split())
    assert inside == 0
    assert outside >= 65536
    assert size == 65536
    assert lines[2].split() == ["CapBnd:", "0" * 16]
    assert "Read-only file system" in lines[3]
    assert [line.split(": ")[1] for line in lines[4:]] == ["lo"]


def test_foreign_architectures_and_unconfined(bare):
    assert (
        bare.sh("grep Seccomp: /proc/self/status", seccomp_profile="unconfined").split()[1] == "0"
    )
    if os.uname().machine == "x86_64":
        bare.sh("true", seccomp_architectures=["SCMP_ARCH_X86"])


def test_no_working_directory_leads_out(bare):
    """The way of CVE-2024-21626; that no descriptor is leaked is tested where runtimes are run."""
    with pytest.raises(InvalidArgumentError, match="lies in /proc"):
        bare.run(["/bin/ls"], cwd="/proc/self/fd/9")
    # A link of the rootfs must not get around that either: it ends in the container.
    os.symlink("/proc/self/cwd", f"{bare.rootfs}/sneaky")
    done = bare.run(["/bin/ls", "-a", "."], cwd="/sneaky")
    assert "rootfs" not in done.stdout
    assert "bundle-1" not in done.stdout


def test_an_exec_document_is_taken(bare):
    directory = f"{bare.base}/exec"
    os.mkdir(directory)
    spec = check_container(
        ContainerSpec(
            name="t", rootfs=bare.rootfs, rootfs_mode="direct", command=["/bin/sleep", "600"]
        )
    )
    identifier = f"{bare.cgroup}-exec"
    bundle.write(
        bundle.BundleRequest(
            container_id=identifier,
            name="t",
            pod_id="p",
            pod_name="p",
            spec=spec,
            hostname="inside",
            cgroup_path=f"{bare.cgroup}/exec",
            directory=directory,
            rootfs=bare.rootfs,
            namespaces=PRIVATE,
        )
    )
    runtime = [bare.runtime, "--root", f"{bare.base}/state"]

    def call(*arguments):
        # The container's own process inherits these and outlives the call: no pipes.
        none = subprocess.DEVNULL
        argv = [*runtime, *arguments]
        subprocess.run(argv, stdin=none, stdout=none, stderr=none, timeout=60, check=True)

    call("create", "-b", directory, identifier)
    try:
        call("start", identifier)
        config = bundle.load(f"{directory}/config.json")
        process = bundle.process_for_exec(
            config,
            ["/bin/sh", "-c", "id -u; echo $A; pwd"],
            env={"A": "b"},
            user="user",
            cwd="/tmp",
        )
        path = f"{bare.base}/process.json"
        with open(path, "w", encoding="utf-8") as file:
            json.dump(process, file)
        done = subprocess.run(
            [*runtime, "exec", "--process", path, identifier],
            # Pipes only: crun 1.8.1 gives /dev/null of the host to the user of an exec.
            input="",
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.split() == ["1000", "b", "/tmp"]
    finally:
        call("delete", "--force", identifier)
