"""Putting config.json into a bundle directory of podcore's own."""

import hashlib
import json
import os
from typing import Any

from podcore.bundle import brought
from podcore.bundle.config import render
from podcore.bundle.request import BundleRequest
from podcore.kernel import files
from podcore.specs import documents


def build(request: BundleRequest) -> dict[str, Any]:
    """Returns a container's config.json; raises as ``write``."""
    config: dict[str, Any] = json.loads(_text(request))
    return config


def write(request: BundleRequest) -> bytes:
    """Writes config.json, as a whole or not at all, mode 0600; one that is right already stays.

    What a user brings is copied, and the runtime gets the copy: it can't change any more between
    check and use.

    Returns:
        What was written.

    Raises:
        InvalidArgumentError: the rootfs does not know the user; the user's bundle is malformed.
        UnsupportedError: the host lacks something that the spec asks for.
        ResourceExhaustedError: no space.
    """
    data = _text(request)
    # A restart mostly finds what it would write; replacing a file costs a flush on ext4.
    files.put(request.directory, {documents.CONFIG: data})
    return data


def digest(data: bytes) -> str:
    """Returns the SHA-256 of what ``write`` wrote, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def verify(directory: str, expected: str) -> bool:
    """Returns whether the config.json there still is what ``write`` wrote, by its digest."""
    try:
        data = files.read_capped(f"{directory}/{documents.CONFIG}", documents.SIZE_MAX)
    except (OSError, ValueError):
        return False
    return digest(data) == expected


def load(path: str, cap: int = documents.SIZE_MAX) -> dict[str, Any]:
    """Returns what a config.json says; raises as ``specs.documents.read_config``."""
    return documents.read_config(path, cap)[1]


def _text(request: BundleRequest) -> bytes:
    bundle = request.spec.bundle
    if bundle is None:
        return render(request).encode()
    path = os.path.join(bundle, documents.CONFIG)
    return brought.adapt(path, bundle, request.cgroup_path)
