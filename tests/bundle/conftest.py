"""Bundles for tests: requests with sensible values for what a test does not care about."""

from collections.abc import Callable
from typing import Any

import pytest

from podcore import bundle
from podcore.model import ContainerSpec
from podcore.specs import check_container

PRIVATE = {"ipc": None, "net": None, "uts": None, "pid": None, "cgroup": None}


@pytest.fixture
def request_for(tmp_path, rootfs) -> Callable[..., bundle.BundleRequest]:
    """Returns a function that makes a request from fields of the spec and, in `request`, its own."""

    def make(request: dict[str, Any] | None = None, **fields: Any) -> bundle.BundleRequest:
        if "bundle" not in fields:
            fields.setdefault("rootfs", rootfs)
            fields.setdefault("rootfs_mode", "direct")
            fields.setdefault("command", ["/bin/true"])
        spec = check_container(ContainerSpec(name="web", **fields))
        settings = {
            "container_id": "c" * 64,
            "name": "web",
            "pod_id": "p" * 64,
            "pod_name": "pod",
            "spec": spec,
            "hostname": "host-1",
            "cgroup_path": "parent/pod/container",
            "directory": str(tmp_path),
            "rootfs": spec.rootfs or "",
            "namespaces": PRIVATE,
        }
        return bundle.BundleRequest(**(settings | (request or {})))

    return make
