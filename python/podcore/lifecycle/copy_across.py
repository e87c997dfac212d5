"""Copies into a file system in which the host's user ids do not exist.

That is a tmpfs that was mounted in a container's user namespace: nobody outside of that namespace
can own a file there, root included. So what is copied is laid out on the host first, owned by the
ids that it is to have, and a process that joins the user namespace, and nothing else of the
container, copies it on. It has a descriptor of the container's root and one of that directory, and
no power over anything else on the host.
"""

import json
import os
import secrets
import sys

from podcore.errors import InvalidArgumentError, UnsupportedError
from podcore.kernel import process, trees
from podcore.kernel.command import spawn
from podcore.kernel.files import make_directory, remove_tree
from podcore.places import Places
from podcore.records import ContainerRecord

_NSENTER = ("/usr/bin/nsenter", "/bin/nsenter")
_ANSWER_MAX = 16 << 20


def copy_across(
    places: Places,
    record: ContainerRecord,
    root: int,
    source: str,
    target: str,
    owner: trees.Owner,
    first: int,
) -> list[str]:
    """Copies a file or a tree of the host into a running container by way of its user namespace.

    Args:
        places: of the engine.
        record: the container, which runs; its lock is held.
        root: a descriptor of its root.
        source: a path of the host.
        target: a path inside.
        owner: whom the copies belong to, in ids of the host.
        first: the id of the host that is 0 inside.

    Returns:
        What was left out, see ``trees.copy_in``.

    Raises:
        InvalidArgumentError: as ``trees.copy_in``.
        UnsupportedError: the host has no ``nsenter``, or that process could not do it.
        OSError: anything else.
    """
    stage = f"{places.container(record.id)}/copy.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    make_directory(stage)
    try:
        contents = os.path.basename(source.rstrip("/")) in ("", ".", "..")
        left = trees.copy_in(stage, source, "/", owner=owner)
        os.chown(stage, first, first)
        name = "." if contents else os.path.basename(source.rstrip("/"))
        staged = os.open(stage, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return left + _hand_over(record, root, staged, name, target, source)
        finally:
            os.close(staged)
    finally:
        remove_tree(stage)


def _hand_over(
    record: ContainerRecord, root: int, staged: int, name: str, target: str, source: str
) -> list[str]:
    assert record.init is not None, "it runs"
    path = f"/proc/self/fd/{staged}/{name}"
    namespace = os.open(f"/proc/{record.init.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    answer = os.memfd_create("answer", os.MFD_CLOEXEC)
    try:
        if not process.alive(record.init):
            raise UnsupportedError(f"container `{record.name}` has just ended")
        argv = [_nsenter(), f"--user=/proc/self/fd/{namespace}", "-S", "0", "-G", "0", "--"]
        argv += [sys.executable, "-I", "-m", "podcore.kernel.tree_child"]
        fds = {1: answer, root: root, staged: staged, namespace: namespace}
        with spawn([*argv, str(root), path, target], fds=fds) as child:
            child.wait()
        said = os.pread(answer, _ANSWER_MAX, 0)
    finally:
        os.close(namespace)
        os.close(answer)
    return _read(said, path, source)


def _read(said: bytes, path: str, source: str) -> list[str]:
    if not said:
        raise UnsupportedError(
            "no process with the container's user ids can run this Python\n"
            "hint: make it and podcore readable for everybody"
        )
    found = json.loads(said)
    if "left" in found:
        return [str(sentence).replace(path, source) for sentence in found["left"]]
    if "refused" in found:
        raise InvalidArgumentError(str(found["refused"]).replace(path, source))
    raise OSError(found["errno"], str(found["text"]).replace(path, source))


def _nsenter() -> str:
    for path in _NSENTER:
        if os.access(path, os.X_OK):
            return path
    raise UnsupportedError("`nsenter` is not installed\nhint: apt-get install util-linux")
