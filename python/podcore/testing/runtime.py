"""The program behind ``Rig``: an OCI runtime's command line, with faults."""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from podcore.kernel import files
from podcore.kernel.cgroup import Hierarchies
from podcore.testing.rig import ANNOTATION, EXIT

_STATE_FILES = {"runc": "state.json", "crun": "status"}
_WITH_VALUE = {"--root", "--log", "--log-format", "--bundle", "--pid-file", "--console-socket"}
_WITH_VALUE |= {"--process", "--cgroup", "-b"}
_FOREVER = 1 << 31


@dataclass(frozen=True, slots=True)
class Call:
    """A command line of a runtime, taken apart.

    Attributes:
        options: the last value of each option; "" for a flag.
        verb: such as ``create``; "" when there is none.
        operands: the id first.
    """

    options: dict[str, str]
    verb: str
    operands: tuple[str, ...]

    @property
    def id(self) -> str:
        """The container's id; "" when there is none."""
        return self.operands[0] if self.operands else ""


def parse(argv: Sequence[str]) -> Call:
    """Takes a command line apart, program left out."""
    options: dict[str, str] = {}
    words: list[str] = []
    left = list(argv)
    while left:
        word = left.pop(0)
        if word == "--":
            words += left
            break
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            words.append(word)
        elif equals:
            options[name] = value
        else:
            options[word] = left.pop(0) if word in _WITH_VALUE and left else ""
    return Call(options, words[0] if words else "", tuple(words[1:]))


def main(faults: str, real: str) -> int:
    """Runs the command line of this process.

    Args:
        faults: the directory with the faults of each container.
        real: the path of the runtime that does the work; "" for the fake one.

    Returns:
        The exit status.
    """
    argv = sys.argv[1:]
    call = parse(argv)
    wanted = _faults(faults, call)
    if "exit-before-pid-file" in wanted and call.verb == "create":
        return 0
    for kind, value in wanted.items():
        known, _, verb = kind.partition(":")
        if verb == call.verb and (code := _before(known, value, call)) is not None:
            return code
    code = _run(real, argv) if real else _fake(call)
    if call.verb == "create" and "die-after-create" in wanted and code == 0:
        with open(call.options["--pid-file"], encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGKILL)
    if f"killed-late:{call.verb}" in wanted:
        os.kill(os.getpid(), signal.SIGKILL)
    if f"rc1-with-effect:{call.verb}" in wanted:
        _complain(call, b"it is done, but this says that it failed")
        return 1
    return code


def _faults(directory: str, call: Call) -> dict[str, str]:
    """Returns the faults of a container: what was set, else what its annotation says."""
    path = f"{directory}/{call.id}"
    if not call.id:
        return {}
    if not os.path.exists(path):
        bundle = call.options.get("--bundle") or call.options.get("-b")
        said = "" if bundle is None else _annotation(bundle, ANNOTATION)
        if said:
            files.write_atomic(path, said.encode())
    else:
        with open(path, encoding="utf-8") as file:
            said = file.read()
    found = {}
    for part in filter(None, (one.strip() for one in said.split(";"))):
        left, colon, verb = part.partition(":")
        kind, _, value = left.partition("=")
        found[kind + colon + verb] = value
    return found


def _annotation(bundle: str, name: str) -> str:
    with open(f"{bundle}/config.json", encoding="utf-8") as file:
        return str(json.load(file).get("annotations", {}).get(name, ""))


def _before(kind: str, value: str, call: Call) -> int | None:
    """Does what comes in place of the work; None when the work is still to be done."""
    if kind == "slow":
        time.sleep(float(value) / 1000)
        return None
    if kind == "hang":
        while True:
            signal.pause()
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "rc0-no-effect":
        return 0
    if kind == "garbage":
        os.write(1, b'{"id": "\xff\xfe", [[[')
        return 0
    if kind == "huge-stderr":
        for _ in range(128):
            os.write(2, b"x" * 65535 + b"\n")
        return 1
    if kind == "invalid-utf8":
        _complain(call, b"\xff\xfe is no text")
        return 1
    return None


def _complain(call: Call, message: bytes) -> None:
    """Says why it failed, on stderr and in the log, as a runtime does."""
    os.write(2, message + b"\n")
    log = call.options.get("--log")
    if log:
        with open(log, "ab") as file:
            file.write(b'{"level":"error","msg":"' + message + b'","time":""}\n')


def _run(real: str, argv: Sequence[str]) -> int:
    """Runs the real runtime with the descriptors of this process, and waits for it."""
    pid = os.posix_spawn(real, [real, *argv], os.environ)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return 128 - code if code < 0 else code


def _fake(call: Call) -> int:
    if "--version" in call.options:
        print(f"{os.path.basename(sys.argv[0])} version 1.0.0-fake")  # noqa: T201 -- its answer
        return 0
    root = f"{call.options['--root']}/{call.id}"
    verbs = {
        "create": _create,
        "start": _start,
        "state": _state,
        "kill": _kill,
        "delete": _delete,
        "pause": _freeze,
        "resume": _freeze,
    }
    if call.verb not in verbs:
        _complain(call, b"the fake runtime can not do that")
        return 1
    if call.verb != "create" and not os.path.exists(f"{root}/pid"):
        if call.verb == "delete" and "--force" in call.options:
            files.remove_tree(root)
            return 0
        _complain(call, b"container does not exist")
        return 1
    return verbs[call.verb](call, root)


def _create(call: Call, root: str) -> int:
    bundle = call.options.get("--bundle") or call.options["-b"]
    with open(f"{bundle}/config.json", encoding="utf-8") as file:
        config = json.load(file)
    cgroup = config["linux"]["cgroupsPath"].strip("/")
    files.make_below(os.path.dirname(root), root)
    os.mkfifo(f"{root}/exec.fifo", 0o600)
    pid = os.fork()
    if pid == 0:
        _be_init(root, str(config.get("annotations", {}).get(EXIT, "")))
    Hierarchies.detect().cgroup(cgroup).add(pid)
    files.write_atomic(f"{root}/cgroup", cgroup.encode())
    files.write_atomic(f"{root}/pid", b"%d" % pid)
    files.write_atomic(f"{root}/{_STATE_FILES[os.path.basename(sys.argv[0])]}", b"{}")
    files.write_atomic(call.options["--pid-file"], b"%d" % pid)
    return 0


def _be_init(root: str, code: str) -> None:
    """Is the container's process: waits to be started, then sleeps or exits."""
    os.setsid()
    with open(f"{root}/exec.fifo", "rb", buffering=0) as fifo:
        fifo.read(1)
    if code:
        os._exit(int(code))
    os.execv("/bin/sleep", ["sleep", str(_FOREVER)])  # noqa: S606 -- a fixed program


def _start(call: Call, root: str) -> int:
    fifo = f"{root}/exec.fifo"
    try:
        fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        _complain(call, b"cannot start a container that is not created")
        return 1
    os.unlink(fifo)
    os.write(fd, b"0")
    os.close(fd)
    return 0


def _pid(root: str) -> int:
    with open(f"{root}/pid", encoding="ascii") as file:
        return int(file.read())


def _state(call: Call, root: str) -> int:
    pid = _pid(root)
    status = "created" if os.path.exists(f"{root}/exec.fifo") else "running"
    if not os.path.exists(f"/proc/{pid}"):
        status, pid = "stopped", 0
    said = {"ociVersion": "1.0.2", "id": call.id, "status": status, "pid": pid}
    print(json.dumps(said))  # noqa: T201 -- its answer
    return 0


def _kill(call: Call, root: str) -> int:
    os.kill(_pid(root), int(call.operands[1]))
    return 0


def _cgroup(root: str) -> str:
    with open(f"{root}/cgroup", encoding="utf-8") as file:
        return file.read()


def _delete(call: Call, root: str) -> int:
    cgroup = Hierarchies.detect().cgroup(_cgroup(root))
    if "--force" in call.options:
        cgroup.kill(10.0)
    elif cgroup.populated():
        _complain(call, b"cannot delete a container that is not stopped")
        return 1
    with contextlib.suppress(OSError):
        cgroup.remove()
    files.remove_tree(root)
    return 0


def _freeze(call: Call, root: str) -> int:
    cgroup = Hierarchies.detect().cgroup(_cgroup(root))
    if call.verb == "pause":
        cgroup.freeze(10.0)
    else:
        cgroup.thaw()
    return 0
