"""Every flag that the interface promises is there, with its keyword in Python.

The table is item 7 of the requirements for pods: podman's flags, and keywords that are the flag's
name in snake_case, plural where it repeats. The exceptions are those of the agreed design, in which
the keywords of processes are the standard library's: ``cwd``, ``stdin``, ``terminal``.
"""

import inspect
import json

import pytest

import podcore
from podcore.cli import completion
from podcore.model import Limits, Mount
from podcore.specs import check_limits

BIND = Mount(type="bind", source="/srv", target="/data")
TMPFS = Mount(type="tmpfs", target="/cache")

# Flag with a value, keyword of create_container, what it becomes.
CREATE = [
    ("-e A=b", "env", {"A": "b"}),
    ("--env A=b", "env", {"A": "b"}),
    ("--env-file f", "env_files", ["f"]),
    ("-u 1:2", "user", "1:2"),
    ("--user 1:2", "user", "1:2"),
    ("-w /srv", "cwd", "/srv"),
    ("--workdir /srv", "cwd", "/srv"),
    ("-v /srv:/data", "mounts", [BIND]),
    ("--volume /srv:/data", "mounts", [BIND]),
    ("--mount type=bind,src=/srv,dst=/data", "mounts", [BIND]),
    ("--tmpfs /cache", "mounts", [TMPFS]),
    ("--read-only", "read_only", True),
    ("--cap-add CHOWN --cap-add KILL", "cap_add", ["CHOWN", "KILL"]),
    ("--cap-drop all", "cap_drop", ["all"]),
    ("--security-opt no-new-privileges=false", "no_new_privileges", False),
    ("--security-opt seccomp=unconfined", "seccomp_profile", "unconfined"),
    ("--ulimit nofile=1:2", "ulimits", {"nofile": (1, 2)}),
    ("--sysctl net.ipv4.ip_forward=1", "sysctls", {"net.ipv4.ip_forward": "1"}),
    ("--device /dev/fuse", "devices", ["/dev/fuse"]),
    ("--init", "init", True),
    ("--hostname web", "hostname", "web"),
    ("-i", "stdin", True),
    ("--interactive", "stdin", True),
    ("-t", "terminal", True),
    ("--tty", "terminal", True),
    ("--stop-signal INT", "stop_signal", "INT"),
    ("--stop-timeout 1h30m", "stop_timeout", 5400.0),
]
LIMITS = [
    ("--cpus 1.5", "cpus", 1.5),
    ("--cpu-shares 512", "cpu_shares", 512),
    ("--cpuset-cpus 0-1", "cpuset_cpus", "0-1"),
    ("--memory 32m", "memory", "32m"),
    ("-m 1g", "memory", "1g"),
    ("--memory-swap -1", "memory_swap", -1),
    ("--pids-limit 7", "pids_limit", 7),
    ("--blkio-weight 10", "blkio_weight", 10),
]
POD = [
    ("--share ipc,net", "share", ("ipc", "net")),
    ("--infra", "infra", True),
    ("--infra=false", "infra", False),
    ("--hostname web", "hostname", "web"),
]
# Verbs that take no keyword for what the flag says, and those whose calls other tests look at.
OTHERS = {
    "exec": "-e --env -u --user -w --workdir -i --interactive -t --tty --timeout",
    "stats": "--no-stream --format",
    "pod stats": "--no-stream --format",
    "cp": "",
    "volume create": "",
    "volume ls": "",
    "volume inspect": "",
    "volume rm": "",
    "volume prune": "",
}


def flags_of(command):
    """The flags that a command takes, by the parser itself."""
    for known in completion.commands():
        if " ".join(known.path) == command:
            return {name for option in known.options for name in option.names}
    raise AssertionError(f"there is no command `{command}`")


@pytest.mark.parametrize("verb", ["create", "run", "container create", "container run"])
def test_create_and_run_have_every_flag(verb):
    words = {word for flags, _, _ in (*CREATE, *LIMITS) for word in flags.split()}
    assert {word for word in words if word.startswith("-") and word != "-1"} <= flags_of(verb)


@pytest.mark.parametrize(("verb", "flags"), OTHERS.items())
def test_other_verbs_have_every_flag(verb, flags):
    assert set(flags.split()) <= flags_of(verb)


@pytest.mark.parametrize("verb", ["pod create", "update", "pod update", "create", "run"])
def test_limits_can_be_set_by_every_verb_that_makes_or_changes(verb):
    assert {flags.split()[0] for flags, _, _ in LIMITS} <= flags_of(verb)


@pytest.mark.parametrize(("flags", "keyword", "value"), CREATE, ids=lambda value: str(value)[:24])
def test_a_flag_of_create_is_a_keyword_of_create_container(flags, keyword, value, engine, cli):
    engine.with_pod("web")
    done = cli("create", *flags.split(), "--pod", "web", "--rootfs", "/", "sh")
    assert done.code == 0, done.err
    ((_, _, made),) = engine.calls
    plain = podcore.ContainerSpec(rootfs="/", command=["sh"])
    assert getattr(made["spec"], keyword) == value
    assert getattr(plain, keyword) != value
    keywords = inspect.signature(podcore.ContainerSpec).parameters
    assert keyword in keywords


@pytest.mark.parametrize(("flags", "keyword", "value"), LIMITS, ids=lambda value: str(value)[:24])
def test_a_flag_of_a_limit_is_a_keyword_everywhere(flags, keyword, value, engine, cli):
    engine.with_pod("web", db=())
    assert cli("update", *flags.split(), "web/db").code == 0
    assert cli("pod", "update", *flags.split(), "web").code == 0
    assert [call[2] for call in engine.calls] == [{keyword: value}] * 2
    assert cli("pod", "create", *flags.split(), "new").code == 0
    assert engine.pod("new").keywords == {keyword: value}
    engine.calls.clear()
    assert cli("create", *flags.split(), "--pod", "web", "--rootfs", "/", "sh").code == 0
    assert engine.calls[0][2]["spec"].limits == Limits(**{keyword: value})


@pytest.mark.parametrize(("flags", "keyword", "value"), POD, ids=lambda value: str(value)[:24])
def test_a_flag_of_pod_create_is_a_keyword_of_create_pod(flags, keyword, value, engine, cli):
    assert cli("pod", "create", *flags.split(), "web").code == 0
    given = engine.pod("web").keywords
    assert {key: tuple(one) if key == "share" else one for key, one in given.items()} == {
        keyword: value
    }
    assert keyword in inspect.signature(podcore.Engine.create_pod).parameters


@pytest.mark.parametrize("keyword", ["env", "user", "cwd", "stdin", "terminal", "timeout"])
def test_the_flags_of_exec_are_keywords_of_exec(keyword):
    assert keyword in inspect.signature(podcore.Container.exec).parameters


def test_keywords_are_flags_in_snake_case_and_plural_where_they_repeat():
    """Whatever is a flag and a keyword has the same name; the exceptions are listed here."""
    renamed = {
        "workdir": "cwd",
        "interactive": "stdin",
        "tty": "terminal",
        "requires": "depends_on",
        "security_opt": "no_new_privileges",
        "runtime": "oci_runtime",
        # Namespaces are one mapping.
        "network": "namespaces",
        "ipc": "namespaces",
        "pid": "namespaces",
        "uts": "namespaces",
        "cgroupns": "namespaces",
    }
    keywords = {*podcore.ContainerSpec.__dataclass_fields__, *Limits.__dataclass_fields__}
    of_the_command_line = {"help", "root", "runroot", "format", "json", "cgroup-parent", "pod"}
    missing = []
    for flag in sorted(flags_of("create")):
        name = flag.removeprefix("--")
        if not flag.startswith("--") or name in of_the_command_line or name == "net":
            continue
        word = name.replace("-", "_")
        if not keywords & {word, f"{word}s", "mounts" if word == "tmpfs" else renamed.get(word)}:
            missing.append(flag)
    # A short way to write a mount.
    assert missing == ["--volume"]


def test_sizes_and_durations_are_read_in_their_units(engine, cli):
    engine.with_pod("web", db=())
    assert cli("stop", "-t", "300ms", "web/db").code == 0
    assert engine.calls[-1][2]["timeout"] == 0.3
    checked = check_limits(Limits(memory="32m", memory_swap="1g"), "container `x`")
    assert (checked.memory, checked.memory_swap) == (32 << 20, 1 << 30)


@pytest.mark.parametrize("verb", [["stats", "web/db"], ["pod", "stats", "web"]], ids=" ".join)
def test_stats_are_printed_once_as_json(verb, engine, cli):
    engine.with_pod("web", db=())
    done = cli(*verb, "--no-stream", "--format", "json")
    assert (done.code, len(json.loads(done.out))) == (0, 1)
