"""The commands that look answer while another process is in the middle of a stop."""

import json
import sys

import pytest

from harness.polling import eventually

pytestmark = [pytest.mark.contention, pytest.mark.runtimes("crun")]

STOP = "import podcore; podcore.Engine().pod('web').stop(timeout=600)"


@pytest.mark.parametrize(
    ("failpoint", "locked"),
    [("", False), ("stop.after-intent=hang", True)],
    ids=["waiting for the container", "hanging under the container's lock"],
)
def test_ps_status_and_inspect_do_not_wait_for_a_stop(
    site, engine, pod, popen, tmp_path, failpoint, locked
):
    """No clock is read: each answer is there while the stop is still under way."""
    db = pod.container("db")
    with engine.host.store.read() as view:
        number = view.container(db.id).number
    stopper = popen(
        [sys.executable, "-c", STOP], env=site.environ | {"PODCORE_FAILPOINTS": failpoint}
    )

    def under_way():
        held = engine.host.locks.probe("container", number)
        return db.status == "stopping" and held is locked

    eventually(under_way, what="the stop")
    answers = {
        argv: json.loads(site.cli(*argv, "--format", "json").stdout)
        for argv in (
            ("ps",),
            ("pod", "ps"),
            ("pod", "status", "web"),
            ("pod", "inspect", "web"),
            ("inspect", "web/db"),
        )
    }

    assert stopper.poll() is None
    assert under_way()
    states = {one["Names"][0]: one["State"] for one in answers["ps",]}
    assert states["db"] == "stopping"
    assert [one["Status"].lower() for one in answers["pod", "ps"]] == ["running"]
    assert answers["pod", "inspect", "web"][0]["State"].lower() == "running"
    assert answers["inspect", "web/db"][0]["State"]["Status"] == "stopping"
    assert "stopping" in json.dumps(answers["pod", "status", "web"])
    stopper.kill()
    stopper.wait()
    assert pod.stop(timeout=0).ok
