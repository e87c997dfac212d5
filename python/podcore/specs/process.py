"""What the process of a container may be: arguments, environment, user, limits of its own."""

import os
import re
import resource
import stat

from podcore.specs import values

USER_MAX = (1 << 32) - 2  # 2^32 - 1 means "no change" to the kernel
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@$-]{0,63}", re.ASCII)
_ENV_FILE_MAX = 1 << 20
UNLIMITED = -1
_HIGHEST = (1 << 63) - 1

# The names of getrlimit(2) in lower case, without RLIMIT_.
ULIMITS = {
    name.removeprefix("RLIMIT_").lower(): number
    for name, number in sorted(vars(resource).items())
    if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"
}


def check_command(value: object, what: str) -> tuple[str, ...]:
    """Returns an argv.

    Raises:
        InvalidArgumentError: it is empty, or its first word is.
    """
    argv = values.texts(value, what, empty=True)
    if not argv or not argv[0]:
        raise values.refusal(what, "there is no command to run", 'such as ["/bin/app", "--flag"]')
    return argv


def check_environment(value: object, what: str) -> dict[str, str]:
    """Returns environment variables.

    Raises:
        InvalidArgumentError: a name is empty or has a ``=``, or a value is not a string.
    """
    checked = {}
    for key, item in values.pairs(value, what).items():
        name = values.text(key, f"{what}, a name")
        if "=" in name:
            raise values.refusal(what, f"the name {values.shown(name)} has a `=`")
        checked[name] = values.text(item, f"{what}, `{name}`", empty=True)
    return checked


def check_environment_file(value: object, what: str) -> str:
    """Returns the absolute path of a file of environment variables that can be read.

    Raises:
        InvalidArgumentError: it can't be read, or holds something else.
    """
    path = values.host_path(value, what)
    read_environment_file(path)
    return path


def read_environment_file(path: str) -> dict[str, str]:
    """Returns the variables of a file of ``KEY=value`` lines, as docker and podman read them.

    Blank lines and lines that begin with ``#`` say nothing; a value goes to the end of its line,
    quotes included; a name without ``=`` is refused rather than taken from podcore's environment.

    Raises:
        InvalidArgumentError: the file can't be read, is larger than 1 MiB, or has another line.
    """
    what = f"env file `{path}`"
    try:
        # Not to be held up by a FIFO.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise values.refusal(what, "it is not a regular file")
            data = file.read(_ENV_FILE_MAX + 1)
    except OSError as error:
        raise values.refusal(what, f"it can't be read: {error.strerror}") from None
    if len(data) > _ENV_FILE_MAX:
        raise values.refusal(what, "it is larger than 1 MiB")
    try:
        lines = data.decode().removeprefix("\ufeff").splitlines()
    except UnicodeDecodeError:
        raise values.refusal(what, "it is not UTF-8") from None
    variables: dict[object, object] = {}
    for number, line in enumerate(lines, 1):
        stripped = line.lstrip()
        if not stripped or stripped.startswith("#"):
            continue
        name, separator, value = stripped.partition("=")
        if not separator or not name or name != name.strip():
            raise values.refusal(what, f"line {number} is not of the form KEY=value")
        variables[name] = value
    return check_environment(variables, what)


def check_cwd(value: object, what: str) -> str:
    """Returns an absolute working directory.

    Raises:
        InvalidArgumentError: it is not absolute, or lies in /proc, through which a runtime with a
            leaked descriptor would begin in the host's file system (CVE-2024-21626).
    """
    path = values.inner_path(value, what)
    if values.within(path, "/proc"):
        raise values.refusal(what, f"`{path}` lies in /proc", "choose another directory")
    return path


def check_user(value: object, what: str) -> str:
    """Returns ``user`` or ``user:group``, each a name or a number.

    Raises:
        InvalidArgumentError: it is malformed; whether names exist shows when the rootfs is there.
    """
    user, separator, group = values.text(value, what).partition(":")
    check_account(user, what)
    if separator:
        check_account(group, what)
    return f"{user}{separator}{group}"


def check_account(name: str, what: str) -> str:
    """Returns the name or the number of a user or a group.

    Raises:
        InvalidArgumentError: it is malformed, or the number is too large.
    """
    if name.isdecimal() and name.isascii():
        if int(name[:20]) > USER_MAX:
            raise values.refusal(what, f"{values.shown(name)} is too large", f"up to {USER_MAX}")
    elif _USER.fullmatch(name) is None:
        raise values.refusal(
            what, f"{values.shown(name)} is neither a name nor a number", "USER[:GROUP]"
        )
    return name


def check_ulimits(value: object, what: str) -> dict[str, tuple[int, int]]:
    """Returns soft and hard limits by lower-case name, sorted; -1 stands for unlimited.

    Raises:
        InvalidArgumentError: a name is unknown, or a soft limit is above its hard one.
    """
    checked: dict[str, tuple[int, int]] = {}
    for key, item in values.pairs(value, what).items():
        name = values.text(key, what).lower().removeprefix("rlimit_")
        if name not in ULIMITS:
            raise values.refusal(
                what, f"{values.shown(key)} is not a limit", f"one of {', '.join(ULIMITS)}"
            )
        both = values.items(item, f"{what}, `{name}`")
        if len(both) != 2:
            raise values.refusal(f"{what}, `{name}`", f"{values.shown(item)} is not (soft, hard)")
        soft, hard = (
            values.integer(limit, f"{what}, `{name}`", UNLIMITED, _HIGHEST) for limit in both
        )
        if hard != UNLIMITED and (soft == UNLIMITED or soft > hard):
            raise values.refusal(f"{what}, `{name}`", f"soft `{soft}` is above hard `{hard}`")
        checked[name] = (soft, hard)
    return dict(sorted(checked.items()))
