"""``process`` of config.json: for a container's own command, and for one that is exec'ed."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from podcore.bundle import hardening
from podcore.bundle.accounts import Account, find_account
from podcore.bundle.mounts import INIT_TARGET
from podcore.bundle.request import BundleRequest
from podcore.bundle.text import encode, extended
from podcore.specs import process as checks

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def render_process(request: BundleRequest) -> str:
    """Returns ``process`` for a container's command, as text.

    Raises:
        InvalidArgumentError: the rootfs does not know the user or a group, or an env file has
            changed for the worse.
    """
    spec = request.spec
    account = find_account(request.rootfs, spec.user, spec.group_add)
    environment = {"PATH": PATH}
    if spec.terminal:
        environment["TERM"] = "xterm"
    environment |= {"container": "podcore", "HOME": account.home, "HOSTNAME": request.hostname}
    for path in spec.env_files:
        environment |= checks.read_environment_file(path)
    environment |= spec.env
    command = list(spec.command)
    if spec.init:
        command = [INIT_TARGET, "--", *command]
    process: dict[str, Any] = {
        "terminal": spec.terminal,
        "user": _user(account),
        "args": command,
        "env": [f"{name}={value}" for name, value in environment.items()],
        "cwd": spec.cwd,
        "rlimits": hardening.ulimits(spec.ulimits),
        "noNewPrivileges": spec.no_new_privileges,
    }
    if spec.oom_score_adj is not None:
        process["oomScoreAdj"] = spec.oom_score_adj
    held = _capability_sets(hardening.capabilities_of(spec))
    return extended(encode(process), capabilities=held)


@lru_cache(maxsize=64)
def _capability_sets(held: tuple[str, ...]) -> str:
    return encode(hardening.capability_sets(held))


def process_for_exec(
    config: Mapping[str, Any],
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    cwd: str | None = None,
    group_add: Sequence[str] = (),
    terminal: bool = False,
) -> dict[str, Any]:
    """Returns what ``runc exec --process`` and ``crun exec --process`` take.

    What the container's own process may do holds for it too: capabilities, no-new-privileges,
    limits, labels of security modules.

    Args:
        config: the container's config.json; ``root.path`` is mounted when ``user`` is a name.
        command: the argv.
        env: added to the container's environment.
        user: ``user[:group]``; None for the container's own.
        cwd: None for the container's own.
        group_add: supplementary groups, when ``user`` is given.
        terminal: the runtime makes a pseudo-terminal.

    Raises:
        InvalidArgumentError: something of it is not acceptable; nothing was touched.
    """
    process = dict(config["process"])
    process.pop("consoleSize", None)
    process["args"] = list(checks.check_command(command, "`command`"))
    process["terminal"] = terminal
    variables = dict(entry.partition("=")[::2] for entry in process.get("env") or ())
    if user is not None:
        user = checks.check_user(user, "`user`")
        account = find_account(config["root"]["path"], user, group_add)
        process["user"] = _user(account)
        variables["HOME"] = account.home
    if terminal:
        variables.setdefault("TERM", "xterm")
    variables |= checks.check_environment(env or {}, "`env`")
    process["env"] = [f"{name}={value}" for name, value in variables.items()]
    if cwd is not None:
        process["cwd"] = checks.check_cwd(cwd, "`cwd`")
    return process


def _user(account: Account) -> dict[str, Any]:
    user: dict[str, Any] = {"uid": account.uid, "gid": account.gid}
    if account.groups:
        user["additionalGids"] = list(account.groups)
    return user
