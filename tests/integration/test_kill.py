"""``Pod.kill`` on real containers."""

import pytest

import podcore
from harness.polling import eventually
from integration.builders import add, await_ready, new_pod, outcomes, says, states

TELLING = """
for s in HUP INT TERM USR1 USR2; do trap "echo got $s" $s; done
echo ready
while :; do sleep 1000 & wait $!; done
"""
SIGNALS = ["SIGTERM", "TERM", "term", "sigterm", 15, "15", "USR1", 10, "hup", 1]
BOGUS = [
    "BOGUS",
    "",
    None,
    1.5,
    15.0,
    0,
    "0",
    -1,
    65,
    "65",
    True,
    "SIG",
    b"TERM",
    "TERM ",
    "RTMIN+99",
]


def test_kill_ends_what_runs_and_records_it(site):
    pod = new_pod(site)
    a, b = add(site, pod, "a"), add(site, pod, "b", "a")
    pod.start()

    report = pod.kill()

    assert outcomes(report) == {"a": "done", "b": "done"}
    assert states(pod) == {"a": "exited", "b": "exited"}
    assert (a.exit_code, b.exit_code) == (137, 137)
    with pod._engine.host.store.read() as view:
        row = view.container(a.id)
    assert (row.state, row.exit_code, row.intent) == ("exited", 137, None)


@pytest.mark.runtimes("crun")
def test_signals_have_names_and_numbers(site):
    names = {15: "TERM", 10: "USR1", 1: "HUP"}
    pod = new_pod(site)
    container = add(site, pod, "a", command=["sh", "-c", TELLING])
    pod.start()
    await_ready(container)

    for count, signal in enumerate(SIGNALS, 1):
        assert outcomes(pod.kill(signal)) == {"a": "done"}
        eventually(lambda count=count: len(list(container.logs())) > count)

    heard = [entry.text for entry in container.logs()][1:]
    expected = [
        names.get(s, str(s)).upper().removeprefix("SIG").replace("15", "TERM") for s in SIGNALS
    ]
    assert heard == [f"got {name}" for name in expected]
    assert container.status == "running"


@pytest.mark.runtimes("crun")
def test_a_real_time_signal_is_sent(site):
    command = ["sh", "-c", "trap 'exit 9' 37; echo ready; while :; do sleep 0.05; done"]
    pod = new_pod(site)
    container = add(site, pod, "a", command=command)
    pod.start()
    await_ready(container)

    pod.kill("RTMIN+3")

    assert container.wait(timeout=30) == 9


@pytest.mark.runtimes("crun")
def test_what_is_no_signal_is_refused_before_anything_is_sent(site):
    pod = new_pod(site)
    container = add(site, pod, "a", command=["sh", "-c", TELLING])
    pod.start()
    await_ready(container)

    for bogus in BOGUS:
        for verb in (pod.kill, container.kill):
            with pytest.raises(podcore.InvalidArgumentError):
                verb(bogus)

    assert container.status == "running"
    assert not says(container, "got")


@pytest.mark.runtimes("crun")
def test_what_does_not_run_is_ignored(site):
    pod = new_pod(site)
    add(site, pod, "run")
    paused, gone = add(site, pod, "paused"), add(site, pod, "gone")
    pod.start()
    paused.pause()
    gone.kill()
    add(site, pod, "new")

    report = pod.kill()

    others = dict.fromkeys(("paused", "gone", "new"), "ignored")
    assert outcomes(report) == {"run": "done", **others}
    assert states(pod)["paused"] == "paused"


@pytest.mark.runtimes("crun")
def test_kill_twice_in_one_process(site):
    pod = new_pod(site)
    container = add(site, pod, "a", command=["sh", "-c", TELLING])
    pod.start()
    await_ready(container)

    pod.kill("USR1")
    pod.kill("USR2")
    container.kill("HUP")

    eventually(lambda: says(container, "got HUP"))
    assert outcomes(pod.kill()) == {"a": "done"}
    assert outcomes(pod.kill()) == {"a": "ignored"}
    with pytest.raises(podcore.ContainerStateError):
        container.kill()


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize(("signal", "code"), [("KILL", 137), ("ABRT", 134), ("SEGV", 139)])
def test_a_signalled_container_has_the_exit_code_of_its_signal(site, signal, code):
    # In the host's pid namespace the kernel's defaults hold for the first process too.
    pod = new_pod(site)
    container = add(site, pod, "a", namespaces={"pid": "host"}, ulimits={"core": (0, 0)})
    pod.start()

    container.kill(signal)

    assert container.wait(timeout=30) == code
