"""Runtimes that misbehave: podcore notices, says so, and leaves nothing behind."""

import pytest

import podcore
from harness.polling import eventually
from podcore.lifecycle import create as lifecycle_create
from podcore.model import ContainerStatus
from podcore.monitor import conmon
from podcore.oci.interface import OCIRuntime
from podcore.testing import Rig, check_invariants
from podcore.testing.rig import ANNOTATION, EXIT
from podcore.testing.runtime import parse

pytestmark = pytest.mark.runtimes("runc")


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path / "rig")


@pytest.fixture
def impatient(monkeypatch):
    """Makes the deadline of one verb short; only a verb that hangs may meet it."""

    def lower(fault):
        kind, _, verb = fault.partition(":")
        # conmon does not read what a runtime writes to stderr before that has ended.
        if kind != "hang" and fault != "huge-stderr:create":
            return
        if verb == "create":
            monkeypatch.setattr(lifecycle_create, "CREATE_TIMEOUT", 2.0)
        else:
            monkeypatch.setitem(getattr(OCIRuntime, verb).__kwdefaults__, "timeout", 2.0)

    return lower


def container(engine, site, fault="", **annotations):
    if fault:
        annotations[ANNOTATION] = fault
    pod = engine.create_pod("web", share=())
    return pod.create_container(
        "one",
        rootfs=site.rootfs,
        command=["/bin/sleep", "1000"],
        stop_timeout=0.1,
        annotations=annotations,
    )


@pytest.mark.parametrize("kind", ["wrapper", "fake"])
def test_without_a_fault_a_life_goes_as_usual(site, rig, kind):
    engine = site.engine(oci_runtime=getattr(rig, kind)())
    one = container(engine, site)

    one.start()
    assert one.status is ContainerStatus.RUNNING
    runtime = engine.host.runtime(one.inspect().oci_runtime)
    state = runtime.state(one.id, log=f"{site.base}/log")
    assert (state.status, state.pid) == ("running", one.pid)
    one.pause()
    one.unpause()
    one.stop()
    assert one.exit_code == (137 if kind == "wrapper" else 143)
    one.restart()
    assert check_invariants(engine) == []
    engine.pod("web").remove(force=True)
    assert engine.check() == []


def test_the_fake_exits_as_it_is_told(site, rig):
    one = container(site.engine(oci_runtime=rig.fake("crun")), site, **{EXIT: "7"})

    one.start()

    assert one.wait(30) == 7


FAILS = [
    ("hang:create", podcore.OCIRuntimeTimeoutError),
    ("killed:create", podcore.PodcoreError),
    ("killed-late:create", podcore.MonitorError),
    ("rc0-no-effect:create", podcore.MonitorProtocolError),
    ("exit-before-pid-file", podcore.MonitorProtocolError),
    ("rc1-with-effect:create", podcore.OCIRuntimeError),
    ("huge-stderr:create", podcore.OCIRuntimeTimeoutError),
    ("invalid-utf8:create", podcore.MonitorProtocolError),
    ("hang:start", podcore.OCIRuntimeTimeoutError),
    ("killed:start", podcore.OCIRuntimeError),
    ("rc0-no-effect:start", podcore.OCIRuntimeProtocolError),
    ("garbage:start", podcore.OCIRuntimeProtocolError),
    ("huge-stderr:start", podcore.OCIRuntimeError),
    ("invalid-utf8:start", podcore.OCIRuntimeError),
    ("die-after-create", podcore.PodcoreError),
]


@pytest.mark.parametrize(("fault", "error"), FAILS)
def test_a_start_that_goes_wrong_fails_with_a_type_and_can_be_repeated(
    site, rig, monkeypatch, impatient, fault, error
):
    impatient(fault)
    monkeypatch.setattr(conmon, "_SILENCE", 1.0)
    engine = site.engine(oci_runtime=rig.wrapper())
    one = container(engine, site, fault)

    with pytest.raises(error) as caught:
        one.start()

    assert "`one`" in str(caught.value) or one.id[:12] in str(caught.value)
    assert len(str(caught.value)) < 10_000
    assert one.status is not ContainerStatus.RUNNING
    eventually(lambda: not check_invariants(engine) or None, what="all invariants")
    rig.heal(one.id)
    monkeypatch.undo()
    one.start()
    assert one.status is ContainerStatus.RUNNING
    assert check_invariants(engine) == []


@pytest.mark.parametrize(
    "fault", ["rc1-with-effect:start", "killed-late:start", "slow=200:start", "slow=200:create"]
)
def test_a_start_that_only_looks_wrong_succeeds(site, rig, fault):
    engine = site.engine(oci_runtime=rig.wrapper())
    one = container(engine, site, fault)

    one.start()

    assert one.status is ContainerStatus.RUNNING
    assert check_invariants(engine) == []


@pytest.mark.parametrize(
    "fault",
    ["rc0-no-effect:delete", "rc1-with-effect:delete", "hang:delete", "killed:delete"],
)
def test_what_a_runtime_does_not_delete_is_deleted_without_it(site, rig, impatient, fault):
    impatient(fault)
    engine = site.engine(oci_runtime=rig.wrapper())
    one = container(engine, site, fault)
    one.start()

    engine.pod("web").remove(force=True)

    assert check_invariants(engine) == []


def test_a_state_that_makes_no_sense_is_a_typed_error(site, rig):
    engine = site.engine(oci_runtime=rig.wrapper())
    one = container(engine, site, "garbage:state")
    one.start()
    runtime = engine.host.runtime(one.inspect().oci_runtime)

    with pytest.raises(podcore.OCIRuntimeProtocolError):
        runtime.state(one.id, log=f"{site.base}/log")

    assert one.status is ContainerStatus.RUNNING, "status asks no runtime"


def test_a_command_line_is_taken_apart():
    call = parse(["--root", "/r", "--log=/l", "delete", "--force", "--", "id", "9"])

    assert call.options == {"--root": "/r", "--log": "/l", "--force": ""}
    assert (call.verb, call.id, call.operands) == ("delete", "id", ("id", "9"))
