"""``-v``, ``--mount`` and ``--tmpfs`` as podman writes them."""

import os
from typing import TYPE_CHECKING, Any

from podcore.errors import InvalidArgumentError

if TYPE_CHECKING:
    from podcore.model import Mount

_PROPAGATION = {"private", "rprivate", "slave", "rslave", "shared", "rshared"}


def parse_volume(text: str) -> "Mount":
    """Returns the mount of ``SOURCE:TARGET[:OPTIONS]``.

    Args:
        text: a source with a slash or a dot in front is a path, else the name of a volume; options
            are ``ro``, ``rw`` and a propagation.

    Raises:
        InvalidArgumentError: it is malformed.
    """
    from podcore.model import Mount

    source, separator, rest = text.partition(":")
    target, _, options = rest.partition(":")
    if not separator or not source or not target:
        raise InvalidArgumentError(
            f"`{text}` is no value for `--volume`\nhint: SOURCE:TARGET or SOURCE:TARGET:ro"
        )
    found: dict[str, Any] = {}  # `Any`: keywords of several types
    for option in filter(None, options.split(",")):
        if option in {"ro", "rw"}:
            found["read_only"] = option == "ro"
        elif option in _PROPAGATION:
            found["propagation"] = option
        else:
            raise InvalidArgumentError(
                f"`--volume {text}`: there is no option `{option}`\nhint: ro, rw, or a propagation"
            )
    if source[0] in "/.":
        return Mount(type="bind", source=os.path.abspath(source), target=target, **found)
    return Mount(type="volume", source=source, target=target, **found)


def parse_tmpfs(text: str) -> "Mount":
    """Returns the mount of ``TARGET[:OPTIONS]``; options are ``size=``, ``mode=``, ``ro``, ``rw``.

    Raises:
        InvalidArgumentError: it is malformed.
    """
    from podcore.model import Mount

    target, _, options = text.partition(":")
    found: dict[str, Any] = {}
    for option in filter(None, options.split(",")):
        key, _, value = option.partition("=")
        if key == "size":
            found["size"] = value
        elif key == "mode":
            found["mode"] = _mode(value, text)
        elif option in {"ro", "rw"}:
            found["read_only"] = option == "ro"
        else:
            raise InvalidArgumentError(
                f"`--tmpfs {text}`: there is no option `{option}`\nhint: size=, mode=, ro, rw"
            )
    return Mount(type="tmpfs", target=target, **found)


def parse_mount(text: str) -> "Mount":
    """Returns the mount of ``type=bind,source=…,target=…``.

    Raises:
        InvalidArgumentError: it is malformed.
    """
    from podcore.model import Mount

    found: dict[str, Any] = {"type": "volume"}
    for option in text.split(","):
        key, separator, value = option.partition("=")
        match key:
            case "type" if value in {"bind", "tmpfs", "volume"}:
                found["type"] = value
            case "source" | "src":
                found["source"] = value
            case "target" | "destination" | "dst":
                found["target"] = value
            case "ro" | "readonly":
                found["read_only"] = not separator or _boolean(value, text)
            case "rw":
                found["read_only"] = bool(separator) and not _boolean(value, text)
            case "bind-propagation" if value in _PROPAGATION:
                found["propagation"] = value
            case "tmpfs-size":
                found["size"] = value
            case "tmpfs-mode":
                found["mode"] = _mode(value, text)
            case _:
                raise InvalidArgumentError(
                    f"`--mount {text}`: `{option}` is not known\n"
                    "hint: type=bind|volume|tmpfs, source=, target=, ro, bind-propagation=, "
                    "tmpfs-size=, tmpfs-mode="
                )
    if "target" not in found:
        raise InvalidArgumentError(f"`--mount {text}`: `target=` is missing")
    if found["type"] == "bind" and found.get("source"):
        found["source"] = os.path.abspath(found["source"])
    return Mount(**found)


def _boolean(value: str, text: str) -> bool:
    # The spellings are those of Go's `ParseBool`, which podman takes.
    if value in {"1", "t", "T", "true", "TRUE", "True"}:
        return True
    if value in {"0", "f", "F", "false", "FALSE", "False"}:
        return False
    raise InvalidArgumentError(f"`--mount {text}`: `{value}` is neither true nor false")


def _mode(value: str, text: str) -> int:
    try:
        return int(value, 8)
    except ValueError:
        raise InvalidArgumentError(
            f"`{text}`: `{value}` is no mode\nhint: octal, such as 1777"
        ) from None
