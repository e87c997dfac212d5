"""Specs as JSON, as the state store keeps them.

Fields with their default value are left out, which keeps ten thousand rows small. A default may
therefore only change together with ``SPEC_VERSION`` and a migration that writes the old one out.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from podcore.model import ContainerSpec, Limits, Mount, Profile, RootfsMode

SPEC_VERSION = 1

_SPEC = ContainerSpec()
_SPEC_DEFAULTS = {field.name: getattr(_SPEC, field.name) for field in fields(ContainerSpec)} | {
    "stop_signal": "SIGTERM"  # the checked form of the default
}
_LIMIT_NAMES = tuple(field.name for field in fields(Limits))
_MOUNT_DEFAULTS = {
    field.name: field.default for field in fields(Mount) if field.name not in ("type", "target")
}
_SEQUENCES = tuple(name for name, default in _SPEC_DEFAULTS.items() if default == ())


def spec_to_json(spec: ContainerSpec) -> dict[str, Any]:
    """Returns a checked spec as plain data, ready for JSON.

    ``spec_from_json`` returns the same spec from it.
    """
    data: dict[str, Any] = {}
    for name, default in _SPEC_DEFAULTS.items():
        value = getattr(spec, name)
        if value == default:
            continue
        if name == "mounts":
            value = [_mount_to_json(mount) for mount in value]
        elif name == "limits":
            value = limits_to_json(value)
        elif name == "ulimits":
            value = {key: list(pair) for key, pair in value.items()}
        elif name == "stop_timeout" and math.isinf(value):
            value = "inf"
        elif isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, Mapping):
            value = dict(value)
        elif isinstance(value, Profile | RootfsMode):
            value = value.value
        data[name] = value
    return data


def spec_from_json(data: Mapping[str, Any]) -> ContainerSpec:
    """Returns the spec that ``spec_to_json`` made this of; it is not checked again.

    Raises:
        TypeError: it has a field that this version does not know.
        ValueError: a field has a value that this version does not know.
    """
    given: dict[str, Any] = {"stop_signal": "SIGTERM"}
    for name, value in data.items():
        read = _READERS.get(name)
        given[name] = value if read is None else read(value)
    return ContainerSpec(**given)


def limits_to_json(limits: Limits) -> dict[str, Any]:
    """Returns the limits that are set as plain data, ready for JSON."""
    found = ((name, getattr(limits, name)) for name in _LIMIT_NAMES)
    return {name: value for name, value in found if value is not None}


def limits_from_json(data: Mapping[str, Any]) -> Limits:
    """Returns the limits that ``limits_to_json`` made this of.

    Raises:
        TypeError: it has a field that this version does not know.
    """
    return Limits(**data)


# What JSON has another form for; all other values are as they were.
_READERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_SEQUENCES, tuple),
    "mounts": lambda value: tuple(Mount(**mount) for mount in value),
    "limits": limits_from_json,
    "ulimits": lambda value: {key: tuple(pair) for key, pair in value.items()},
    "stop_timeout": lambda value: math.inf if value == "inf" else value,
    "rootfs_mode": RootfsMode,
    "profile": Profile,
}


def canonical_json(spec: ContainerSpec) -> str:
    """Returns a checked spec as JSON text, the same for equal specs."""
    return json.dumps(
        spec_to_json(spec),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def spec_hash(spec: ContainerSpec) -> str:
    """Returns the SHA-256 of ``canonical_json``, in hexadecimal digits."""
    return hashlib.sha256(canonical_json(spec).encode()).hexdigest()


def _mount_to_json(mount: Mount) -> dict[str, Any]:
    data: dict[str, Any] = {"type": mount.type, "target": mount.target}
    for name, default in _MOUNT_DEFAULTS.items():
        value = getattr(mount, name)
        if value != default:
            data[name] = value
    return data
