"""Bundles that users bring: copied, and never changed but for where things are."""

import json
import os
from typing import Any

from podcore.specs import documents, values


def adapt(path: str, directory: str, cgroup_path: str) -> bytes:
    """Returns the bytes of podcore's copy of a config.json.

    They are the user's own bytes but for what can't stay as it is: relative paths (the root, the
    sources of bind mounts) are made absolute, for the copy lies elsewhere, and ``cgroupsPath`` is
    added, for podcore must find the container's processes.

    Args:
        path: the user's config.json.
        directory: of the user's bundle.
        cgroup_path: below the root of each hierarchy.

    Raises:
        InvalidArgumentError: the file is not acceptable, or puts the container elsewhere.
    """
    data, config = documents.read_config(path)
    what = f"bundle configuration `{path}`"
    if not _adapt(config, directory, "/" + cgroup_path.lstrip("/"), what):
        return data
    return json.dumps(config, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _adapt(config: dict[str, Any], directory: str, cgroup: str, what: str) -> bool:
    changed = False
    root = config["root"]
    if not os.path.isabs(root["path"]):
        root["path"] = os.path.normpath(os.path.join(directory, root["path"]))
        changed = True
    for mount in config.get("mounts") or ():
        source = mount.get("source")
        if is_bind(mount) and isinstance(source, str) and not os.path.isabs(source):
            mount["source"] = os.path.normpath(os.path.join(directory, source))
            changed = True
    linux = config.setdefault("linux", {})
    if not linux.get("cgroupsPath"):
        linux["cgroupsPath"] = cgroup
        changed = True
    elif linux["cgroupsPath"] != cgroup:
        raise values.refusal(
            what,
            f"`linux.cgroupsPath` is {values.shown(linux['cgroupsPath'])}",
            "leave it out: podcore gives the container a place below its pod's cgroup",
        )
    return changed


def is_bind(mount: dict[str, Any]) -> bool:
    """Returns whether an entry of ``mounts`` is a bind mount."""
    options = mount.get("options") or ()
    return mount.get("type") == "bind" or "bind" in options or "rbind" in options
