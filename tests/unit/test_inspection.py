import json
import math

import pytest

from podcore.inspection import rfc3339
from podcore.model import (
    ContainerInspect,
    ContainerKind,
    ContainerSpec,
    ContainerStatus,
    Limits,
    Mount,
    PodInspect,
    PodMember,
    PodStatus,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00Z"),
        (1_700_000_000.0, "2023-11-14T22:13:20Z"),
        (1_700_000_000.5, "2023-11-14T22:13:20.5Z"),
        (1_700_000_000.000001, "2023-11-14T22:13:20.000001Z"),
        (1_699_999_999.9999998, "2023-11-14T22:13:20Z"),
        (1_700_000_000.1, "2023-11-14T22:13:20.1Z"),
        (None, "0001-01-01T00:00:00Z"),
    ],
)
def test_times_are_gos_in_utc(seconds, text):
    assert rfc3339(seconds) == text


def pod(**fields):
    values = {
        "id": "a" * 64,
        "name": "web",
        "created": 1_700_000_000.0,
        "state": PodStatus.DEGRADED,
        "labels": {"tier": "front"},
        "hostname": "web",
        "share": ("ipc", "uts"),
        "cgroup_path": "podcore/a",
        "infra_container_id": "",
        "limits": Limits(cpus=1.5, memory=64 << 20, pids_limit=7),
        "containers": (
            PodMember("1" * 64, "db", ContainerStatus.RUNNING),
            PodMember("2" * 64, "api", ContainerStatus.EXITED),
        ),
    }
    return PodInspect(**(values | fields))


def container(**fields):
    values = {
        "id": "1" * 64,
        "name": "db",
        "pod_id": "a" * 64,
        "pod_name": "web",
        "kind": ContainerKind.REGULAR,
        "state": ContainerStatus.RUNNING,
        "pid": 42,
        "exit_code": None,
        "reason": "",
        "oom_killed": False,
        "created": 1_700_000_000.0,
        "started": 1_700_000_001.0,
        "finished": None,
        "restarts": 2,
        "spec": ContainerSpec(
            name="db",
            rootfs="/srv/db",
            command=("/bin/db", "-v"),
            env={"A": "b"},
            user="1000:1000",
            stop_signal="SIGINT",
            stop_timeout=math.inf,
            labels={"x": "y"},
            limits=Limits(memory=32 << 20, cpu_shares=512),
            mounts=(Mount(type="volume", source="data", target="/data", read_only=True),),
            ulimits={"nofile": (1, 2)},
        ),
        "dependencies": ("2" * 64,),
        "oci_runtime": "/usr/bin/crun",
        "bundle": "/x/bundle",
        "log_path": "/x/log",
        "cgroup_path": "podcore/a/1",
    }
    return ContainerInspect(**(values | fields))


def test_a_pod_in_podmans_names():
    found = pod().to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["Id"] == "a" * 64
    assert found["Name"] == "web"
    assert found["State"] == "Degraded"
    assert found["Created"] == "2023-11-14T22:13:20Z"
    assert found["SharedNamespaces"] == ["ipc", "uts"]
    assert found["NumContainers"] == 2
    assert found["Containers"][0] == {"Id": "1" * 64, "Name": "db", "State": "running"}
    assert found["CgroupPath"] == "podcore/a"
    assert found["Memory"] == 64 << 20
    assert found["CpuQuota"] == 150_000


def test_the_infra_containers_id_is_always_there():
    assert pod().to_dict()["InfraContainerID"] == ""
    found = pod(infra_container_id="f" * 64).to_dict()
    assert found["InfraContainerID"] == "f" * 64
    assert found["CreateInfra"] is True


def test_a_container_in_podmans_names():
    found = container().to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["Pod"] == "a" * 64
    assert found["PodName"] == "web"
    assert found["State"]["Status"] == "running"
    assert found["State"]["Running"] is True
    assert found["State"]["Pid"] == 42
    assert found["State"]["FinishedAt"] == "0001-01-01T00:00:00Z"
    assert found["Config"]["Cmd"] == ["/bin/db", "-v"]
    assert found["Config"]["Env"] == ["A=b"]
    assert found["Config"]["StopTimeout"] == -1
    assert found["HostConfig"]["Memory"] == 32 << 20
    assert found["HostConfig"]["Ulimits"] == [{"Name": "nofile", "Soft": 1, "Hard": 2}]
    assert found["Mounts"] == [
        {
            "Type": "volume",
            "Name": "data",
            "Source": "data",
            "Destination": "/data",
            "RW": False,
            "Propagation": "",
        }
    ]
    assert found["Dependencies"] == ["2" * 64]
    assert found["RestartCount"] == 2


def test_an_exit_code_that_nobody_knows_is_not_made_up():
    state = container(
        state=ContainerStatus.EXITED, pid=None, reason="Reboot", finished=1.0
    ).to_dict()["State"]
    assert state["ExitCode"] is None
    assert state["Error"] == "Reboot"
    assert state["Pid"] == 0
    assert state["Running"] is False


def test_the_answer_is_a_copy():
    described = pod()
    described.to_dict()["Labels"]["more"] = "x"
    assert described.labels == {"tier": "front"}
