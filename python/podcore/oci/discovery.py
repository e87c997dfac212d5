"""Which OCI runtime is used: the one that was named, else the first that can run here."""

import json
import os
from collections.abc import Mapping

from podcore import programs
from podcore.errors import OCIRuntimeError, OCIRuntimeNotFoundError
from podcore.kernel import files
from podcore.oci.crun import Crun
from podcore.oci.interface import OCIRuntime, identify
from podcore.oci.runc import Runc

# In order of preference: crun creates a container in half the time.
_KNOWN: dict[str, type[OCIRuntime]] = {"crun": Crun, "runc": Runc}
_INSTALL = "hint: `apt-get install runc` or `apt-get install crun`"
_CACHE_CAP = 65536


def resolve(requested: str | None, environ: Mapping[str, str]) -> str:
    """Returns the absolute path of a runtime.

    Args:
        requested: a name, looked up in PATH and the usual directories, or a path; None takes the
            variable ``PODCORE_RUNTIME``, and without that the first that can run here.
        environ: the environment.

    Raises:
        OCIRuntimeNotFoundError: there is none of that name, or it can't be trusted.
    """
    wanted = requested or environ.get("PODCORE_RUNTIME")
    search = environ.get("PATH", "")
    if not wanted:
        return _first_usable(search, {})
    if "/" in wanted:
        path = os.path.abspath(wanted)
    else:
        found = programs.find(wanted, search)
        if found is None:
            raise OCIRuntimeNotFoundError(
                f"there is no OCI runtime `{wanted}` on this host\n"
                "hint: install it, or name another one with its path"
            )
        path = found
    if objection := programs.objection(path):
        raise OCIRuntimeNotFoundError(
            f"the OCI runtime `{path}` can't be used: {objection}\n{_INSTALL}"
        )
    return path


def default(cache_path: str, boot_id: str) -> str:
    """Returns the absolute path of the first of crun and runc that can run containers here.

    What running ``--version`` has shown is remembered for this boot, as long as the program's size
    and time of change are the same; the layout of the cgroups, which may change and costs nothing
    to look at, is not.

    Args:
        cache_path: a file of podcore's own; missing or damaged, it is made anew.
        boot_id: of this boot.

    Raises:
        OCIRuntimeNotFoundError: none can; it says why for each.
    """
    remembered = _load(cache_path, boot_id)
    before = dict(remembered)
    path = _first_usable(os.environ.get("PATH", ""), remembered)
    if remembered != before:
        try:
            data = json.dumps({"boot_id": boot_id, "works": remembered}).encode()
            files.write_atomic(cache_path, data)
        except OSError:
            # The next one finds out again; a full or read-only disk is told by whoever writes state.
            return path
    return path


def usable(path: str) -> str | None:
    """Returns why a runtime can't run containers on this host, None when it can."""
    return _why_not(path, {})


def runtime_for(path: str, root: str) -> OCIRuntime:
    """Returns the adapter of a runtime.

    Args:
        path: absolute, from ``resolve`` or ``default``. The program's name says which one it is;
            only one with another name is run to ask it.
        root: a state directory that no other engine uses.

    Raises:
        OCIRuntimeError: it has another name and does not say what it is.
        OCIRuntimeNotFoundError: podcore does not know it.
    """
    return _adapter(path)(path, root)


def _adapter(path: str) -> type[OCIRuntime]:
    program = os.path.basename(path)
    known = _KNOWN.get(program) or _KNOWN.get(identify(path)[0])
    if known is None:
        raise OCIRuntimeNotFoundError(
            f"podcore does not know the OCI runtime `{path}`\nhint: it works with runc and crun"
        )
    return known


def _first_usable(search: str, remembered: dict[str, str]) -> str:
    reasons = []
    for name in _KNOWN:
        path = programs.find(name, search)
        if path is None:
            reasons.append(f"`{name}` is not installed")
            continue
        why = _why_not(path, remembered)
        if why is None:
            return path
        reasons.append(f"`{path}`: {why}")
    listed = "\n".join(reasons)
    raise OCIRuntimeNotFoundError(
        f"no OCI runtime can run containers on this host\n{listed}\n{_INSTALL}"
    )


def _why_not(path: str, remembered: dict[str, str]) -> str | None:
    """Returns why a runtime can't be used; ``remembered`` says of which it is known to run."""
    if objection := programs.objection(path):
        return objection
    try:
        found = os.stat(path)
        stamp = f"{found.st_size} {found.st_mtime_ns}"
        if remembered.get(path) != stamp:
            identify(path)
            remembered[path] = stamp
        adapter = _adapter(path)(path, "")
    except OCIRuntimeError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)
    return adapter.unusable_here() or None


def _load(cache_path: str, boot_id: str) -> dict[str, str]:
    try:
        said = json.loads(files.read_capped(cache_path, _CACHE_CAP))
    except (OSError, ValueError, RecursionError):
        return {}
    works = said.get("works") if isinstance(said, dict) and said.get("boot_id") == boot_id else None
    if not isinstance(works, dict):
        return {}
    return {path: stamp for path, stamp in works.items() if isinstance(stamp, str)}
