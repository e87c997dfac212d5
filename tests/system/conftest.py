"""A pod of two containers, and what to do to it."""

import os
import subprocess

import pytest


@pytest.fixture
def engine(site):
    return site.engine()


@pytest.fixture
def pod(site, engine):
    """A running pod with a shared namespace."""
    made = engine.create_pod("web", share=("ipc",))
    for name in ("db", "api"):
        made.create_container(
            name, rootfs=site.rootfs, command=["/bin/sleep", "1000"], stop_timeout=0.1
        )
    made.start()
    return made


@pytest.fixture
def unowned(engine):
    """Forgets rows without touching what they own."""

    def forget(pod):
        host = engine.host
        keys = [one.id for one in pod.containers()]
        with host.store.read() as view:
            keys.append(view.pod(pod.id).infra_id)
        with host.session("test") as session, host.store.write(session) as change:
            for key in keys:
                change.delete_container(key)
            change.delete_pod(pod.id)

    return forget


@pytest.fixture
def dead_pid():
    """A pid that was a process's once."""
    done = subprocess.Popen(["/bin/true"])
    done.wait()
    assert not os.path.exists(f"/proc/{done.pid}")
    return done.pid
