"""``podcore doctor``: whether containers can run on this host, and what to install where not."""

import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from podcore.cli import output
from podcore.cli.arguments import Parser, Verb
from podcore.cli.context import open_engine
from podcore.errors import MonitorError, OCIRuntimeError, PodcoreError

if TYPE_CHECKING:
    from podcore.cli.context import Context

OK, WARNING, ERROR = "ok", "warning", "error"
_KERNEL = (5, 6)  # openat2, pidfd_open and pidfd_send_signal, close_range by then
_SQLITE = (3, 51, 3)
_FILES = 1024
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs"}
_INSTALL = "apt-get install {}"


class Check(NamedTuple):
    """Something that was looked at.

    Attributes:
        name: what.
        state: ``ok``, ``warning`` (containers run nevertheless) or ``error``.
        detail: what was found.
        remedy: a command line or a sentence; "" when nothing is to be done.
        note: what is worth knowing and changes nothing about the state; "" when there is nothing.
    """

    name: str
    state: str
    detail: str
    remedy: str = ""
    note: str = ""


def survey(options: Namespace) -> list[Check]:
    """Returns what there is on this host; changes nothing.

    Args:
        options: the global options.
    """
    looks: tuple[Callable[[Namespace], Iterator[Check]], ...] = (
        _user,
        _kernel,
        _cgroups,
        _runtimes,
        _monitor,
        _init,
        _seccomp,
        _directories,
        _locks,
        _sqlite,
        _limits,
    )
    return [check for look in looks for check in look(options)]


def _user(_options: Namespace) -> Iterator[Check]:
    if os.geteuid() == 0:
        yield Check("user", OK, "root")
    else:
        yield Check("user", ERROR, f"user {os.geteuid()}: only root can run containers", "sudo -i")


def _kernel(_options: Namespace) -> Iterator[Check]:
    release = os.uname().release
    numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    if numbers >= _KERNEL:
        yield Check("kernel", OK, release)
    else:
        yield Check("kernel", ERROR, release, "podcore needs Linux 5.6 or newer")


def _cgroups(_options: Namespace) -> Iterator[Check]:
    from podcore.kernel.cgroup import Hierarchies

    try:
        found = Hierarchies.detect()
    except PodcoreError as problem:
        message, _, hint = str(problem).partition("\nhint: ")
        yield Check("cgroups", ERROR, message, hint)
        return
    wanted = ("cpu", "cpuset", "memory", "pids")
    missing = [name for name in wanted if name not in found.controllers]
    listed = ", ".join(sorted(found.controllers))
    detail = f"{found.version}: {listed}; freezer {found.freezer_kind or 'none'}"
    if missing:
        yield Check("cgroups", WARNING, f"{detail}; no {', '.join(missing)}", "limits are partial")
    else:
        yield Check("cgroups", OK, detail)


def _runtimes(options: Namespace) -> Iterator[Check]:
    from podcore import programs
    from podcore.oci import discovery

    found = [(name, programs.find(name, os.environ.get("PATH", ""))) for name in ("crun", "runc")]
    requested = options.runtime or os.environ.get("PODCORE_RUNTIME")
    if requested is not None and requested not in dict(found):
        try:
            found.append((requested, discovery.resolve(requested, os.environ)))
        except OCIRuntimeError as problem:
            yield _failed(f"runtime {requested}", problem, ERROR)
    for name, path in found:
        label = f"runtime {name}"
        if path is None:
            yield Check(label, WARNING, "not installed", _INSTALL.format(name))
            continue
        if (why := discovery.usable(path)) is not None:
            yield Check(label, WARNING, f"{path} can't run containers here: {why}")
            continue
        try:
            runtime = discovery.runtime_for(path, "")
            version = runtime.version
        except OCIRuntimeError as problem:
            yield _failed(label, problem, WARNING)
        else:
            note = _holes(runtime.name, version)
            yield Check(label, OK, f"{version} ({path})", note=note)


def _holes(name: str, version: str) -> str:
    """Returns what to say of published ways out of a container; "" when none are known."""
    from podcore.oci.advisories import open_in

    holes = [
        f"{', '.join(one.cves)} (fixed in {', '.join(one.fixed)})" for one in open_in(name, version)
    ]
    if not holes:
        return ""
    return (
        f"older than the fixes of {'; '.join(holes)}; a distribution may have patched it without "
        "changing the version, as Debian does: its changelog says so"
    )


def _monitor(_options: Namespace) -> Iterator[Check]:
    from podcore.monitor.conmon import Conmon

    try:
        conmon = Conmon.find()
        yield Check("monitor conmon", OK, f"{conmon.version} ({conmon.path})")
    except MonitorError as problem:
        yield _failed("monitor conmon", problem, ERROR)


def _init(_options: Namespace) -> Iterator[Check]:
    from podcore.bundle.mounts import init_program

    try:
        yield Check("init catatonit", OK, init_program())
    except PodcoreError:
        yield Check(
            "init catatonit",
            WARNING,
            "not installed: no shared namespaces, no `--init`",
            _INSTALL.format("catatonit"),
        )


def _seccomp(_options: Namespace) -> Iterator[Check]:
    from podcore.bundle.seccomp import SYSTEM_PROFILE

    if os.path.isfile(SYSTEM_PROFILE):
        yield Check("seccomp profile", OK, SYSTEM_PROFILE)
    else:
        yield Check(
            "seccomp profile",
            OK,
            "podcore's own",
            _INSTALL.format("golang-github-containers-common"),
        )


def _places(options: Namespace) -> tuple[tuple[str, str], ...]:
    # Opening an engine touches nothing.
    with open_engine(options) as engine:
        return (("state directory", engine.root), ("run directory", engine.run_root))


def _directories(options: Namespace) -> Iterator[Check]:
    for name, path in _places(options):
        yield _directory(name, path)


def _directory(name: str, path: str) -> Check:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        parent = _existing(path)
        if os.access(parent, os.W_OK):
            return Check(name, OK, f"{path} (made when it is needed)")
        option = "--runroot" if name == "run directory" else "--root"
        why = f"{path}: `{parent}` can't be written"
        return Check(name, ERROR, why, f"name another with {option}")
    except OSError as problem:
        return Check(name, ERROR, f"{path}: {problem.strerror}")
    mode = found.st_mode & 0o7777
    if not os.path.isdir(path) or os.path.islink(path):
        return Check(name, ERROR, f"{path} is no directory", f"rm {path}")
    if found.st_uid != os.geteuid():
        remedy = f"chown root {path}" if os.geteuid() == 0 else ""
        return Check(name, ERROR, f"{path} belongs to user {found.st_uid}", remedy)
    if mode & 0o077:
        return Check(name, ERROR, f"{path} is open to others (mode {mode:o})", f"chmod 700 {path}")
    if not os.access(path, os.W_OK):
        return Check(name, ERROR, f"{path} can't be written")
    return Check(name, OK, path)


def _existing(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path) or "/"
    return path


def _filesystem(path: str) -> str:
    from podcore.kernel.mountinfo import mounts

    best, kind = "", "unknown"
    real = os.path.realpath(path)
    for mount in mounts():
        top = mount.target.rstrip("/")
        if (real == mount.target or real.startswith(f"{top}/")) and len(mount.target) >= len(best):
            best, kind = mount.target, mount.fstype
    return kind


def _locks(options: Namespace) -> Iterator[Check]:
    from podcore._core import LockTable

    _, (_, run_root) = _places(options)
    kind = _filesystem(_existing(run_root))
    if kind in _NETWORK:
        yield Check("locks", ERROR, f"`{run_root}` is on {kind}", "use a local --runroot")
        return
    directory = f"{run_root}/locks"
    if not os.path.isdir(directory):
        yield Check("locks", OK, f"on {kind}, none yet")
        return
    try:
        with LockTable(directory).session("doctor") as session:
            session.acquire("init", shared=True, timeout=5.0).release()
    except (PodcoreError, OSError) as problem:
        yield _failed("locks", problem, ERROR)
    else:
        yield Check("locks", OK, f"on {kind}, no limit on their number")


def _sqlite(_options: Namespace) -> Iterator[Check]:
    import apsw

    version: str = apsw.sqlite_lib_version()
    numbers = tuple(int(part) for part in version.split(".")[:3])
    if numbers >= _SQLITE:
        yield Check("SQLite", OK, f"{version} (apsw)")
    else:
        yield Check("SQLite", ERROR, f"{version}: WAL can lose data", "pip install -U apsw")


def _limits(_options: Namespace) -> Iterator[Check]:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    detail = f"open files {_shown(soft)} (at most {_shown(hard)})"
    few = soft != resource.RLIM_INFINITY and soft < _FILES
    remedy = f"ulimit -n {_FILES}" if few else ""
    try:
        with open("/proc/sys/kernel/pid_max", encoding="ascii") as file:
            detail += f", pids up to {file.read().strip()}"
    except OSError:
        detail += ", pids unknown"
    yield Check("limits", WARNING if few else OK, detail, remedy)


def _shown(limit: int) -> str:
    import resource

    return "unlimited" if limit == resource.RLIM_INFINITY else str(limit)


def _failed(name: str, problem: Exception, state: str) -> Check:
    message, _, hint = str(problem).partition("\nhint: ")
    return Check(name, state, message.replace("\n", "; "), hint.replace("`", ""))


def works(checks: list[Check]) -> bool:
    """Returns whether containers can run: one runtime and the monitor are well, nothing is wrong."""
    if any(check.state == ERROR for check in checks):
        return False
    runtimes = [check for check in checks if check.name.startswith("runtime ")]
    monitors = [check for check in checks if check.name.startswith("monitor ")]
    return any(one.state == OK for one in runtimes) and any(one.state == OK for one in monitors)


def _configure(_parser: Parser) -> None:
    """Adds nothing."""


def _run(context: "Context", options: Namespace) -> int:
    checks = survey(options)
    well = works(checks)
    if context.json:
        output.json(
            {
                "Ok": well,
                "Checks": [
                    {
                        "Name": c.name,
                        "State": c.state,
                        "Detail": c.detail,
                        "Remedy": c.remedy,
                        "Note": c.note,
                    }
                    for c in checks
                ],
            }
        )
        return 0 if well else 1
    width = max(len(check.name) for check in checks)
    for check in checks:
        output.line(output.escape(f"{check.state:<8} {check.name:<{width}}  {check.detail}"))
        if check.remedy:
            output.line(f"{'':<8} {'':<{width}}  hint: {check.remedy}")
        if check.note:
            output.line(output.escape(f"{'':<8} {'':<{width}}  note: {check.note}"))
    output.line()
    if well:
        output.line("podcore can run containers on this host.")
    else:
        output.line("podcore can't run containers on this host: see the errors above.")
    return 0 if well else 1


VERBS: dict[str, Verb] = {
    "doctor": Verb("say whether containers can run here, and what is missing", _configure, _run)
}
