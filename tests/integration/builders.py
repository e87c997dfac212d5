"""Containers for the tests, and what they are waited for with."""

import json
import os

from harness.polling import eventually
from podcore.lifecycle import create as lifecycle_create
from podcore.testing import check_invariants

POLITE = ["sh", "-c", 'trap "exit 0" TERM; echo ready; sleep 1000 & wait']
"""Ends with 0 at SIGTERM, once it has said that it is ready."""

STUBBORN = ["sleep", "1000"]
"""The first process of a pid namespace: SIGTERM does not reach it, SIGKILL does."""


def new_pod(site, name="web", *, share=(), engine=None, **fields):
    return (engine or site.engine()).create_pod(name, share=share, **fields)


def add(site, pod, name, *needs, command=STUBBORN, **fields):
    """A container whose rootfs is used in place unless asked otherwise: nobody writes to it."""
    settings = {"rootfs_mode": "ro", "rootfs": site.rootfs, "command": command, "depends_on": needs}
    return pod.create_container(name, **(settings | fields))


def diamond(site, pod, command=POLITE):
    """``top`` needs ``left`` and ``right``, both need ``base``; by name."""
    edges = {"base": (), "left": ("base",), "right": ("base",), "top": ("left", "right")}
    return {name: add(site, pod, name, *needs, command=command) for name, needs in edges.items()}


def bundle(site, hook="", command=STUBBORN):
    """A bundle of the user's own, with a hook that the runtime runs in the middle of a create."""
    path = f"{site.base}/bundle"
    os.mkdir(path)
    kinds = ("pid", "ipc", "uts", "mount", "network")
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "args": command,
            "cwd": "/",
            "env": ["PATH=/bin"],
            "user": {"uid": 0, "gid": 0},
        },
        "root": {"path": site.rootfs, "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
        ],
        "linux": {"namespaces": [{"type": kind} for kind in kinds]},
    }
    if hook:
        config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", hook]}]}
    with open(f"{path}/config.json", "w", encoding="utf-8") as file:
        json.dump(config, file)
    return path


def create_only(container):
    """Takes a container as far as the OCI create."""
    engine = container._engine
    with engine.host.store.read() as view:
        record, pod = view.container(container.id), view.pod(container.pod_id)
    with engine.host.session("test") as session:
        lifecycle_create.create(engine.host, session, record, pod)
    assert container.status == "created"


def await_ready(*containers):
    """Waits until each one says that it is ready for signals."""
    for container in containers:
        eventually(lambda c=container: says(c, "ready"), what=f"`{container.name}` being ready")


def says(container, text):
    return any(text in entry.text for entry in container.logs())


def sound(engine):
    """Waits until all invariants hold: a monitor may need a moment to go."""
    eventually(lambda: not check_invariants(engine), what="all invariants")


def states(pod):
    return {container.name: str(container.status) for container in pod.containers()}


def outcomes(report):
    return {row.name: str(row.outcome) for row in report.rows}


def events(engine, action):
    """The names of the containers that something happened to, in the order in which it did."""
    with engine.host.store.read() as view:
        names = {row.id: row.name for row in view.containers()}
        return [names.get(e.id, e.id) for e in view.events() if e.action == action]
