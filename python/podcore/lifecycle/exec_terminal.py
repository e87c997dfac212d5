"""Runs another command in a running container on a terminal of its own."""

from collections.abc import Callable

from podcore.backend import Host
from podcore.deadlines import Deadline
from podcore.errors import MonitorError
from podcore.lifecycle.exec import KILL_PATIENCE, Exec, Prepared, prepared
from podcore.lifecycle.pump import Pump, Watched
from podcore.lifecycle.spool import Spool
from podcore.lifecycle.streams import Output
from podcore.monitor.attach import AttachClient
from podcore.monitor.exec import ExecLaunch, ExecMonitor
from podcore.records import ContainerRecord

BEGIN_TIMEOUT = 60.0
"""Seconds for a monitor to be there; its command has not begun by then."""

_ENDING = 10.0
"""Seconds for a monitor whose command has ended to say with which exit code."""

Begin = Callable[[AttachClient], Watched]
"""Is given the connection before the command begins; returns what else is to be looked after."""


def _nothing(_client: AttachClient) -> Watched:
    return {}


def run_on_terminal(
    host: Host,
    which: ContainerRecord,
    wanted: Exec,
    stdin: bytes | int | None,
    output: Output,
    begin: Begin = _nothing,
) -> int:
    """Runs a command on a terminal of its own, and returns its exit code.

    Args:
        host: of the engine.
        which: the container.
        wanted: what to run.
        stdin: what is typed: bytes, and an end of input after them, or a descriptor of the
            caller's that is read as there is something to be read; None types nothing.
        output: is given what is shown, in the calling thread; what it raises ends the command.
        begin: see there.

    Raises:
        ContainerStateError: the container is not running.
        CommandError: the command is not there (127) or can't be executed (126).
        ExecTimeoutError: its time was up; all that it started has been killed. What it had shown
            by then has been handed out.
        MonitorError: its monitor did not start, or died.
    """
    with prepared(host, which, wanted) as it:
        runtime = host.runtime(it.record.oci_runtime)
        launch = ExecLaunch(
            container_id=it.record.id,
            name=it.record.name,
            directory=it.directory,
            process_file=f"{it.directory}/process.json",
            pid_file=f"{it.directory}/pid",
            runtime=runtime.program,
            runtime_arguments=runtime.arguments(f"{it.directory}/log"),
            options=("--cgroup", it.cgroup.path.rpartition("/")[2]),
            place=host.place_monitor,
        )
        soon = Deadline(min(it.deadline.at, Deadline.after(BEGIN_TIMEOUT).at))
        try:
            with ExecMonitor.launch(host.conmon, launch, soon) as monitor:
                code = _run(it, monitor, stdin, output, begin)
        except BaseException as error:
            # Ctrl-C and whatever `output` raises too: nobody waits for it any more.
            it.cgroup.kill(KILL_PATIENCE)
            if isinstance(error, MonitorError) and it.deadline.expired:
                it.raise_timeout()
            raise
        if code is None:
            it.raise_not_begun((runtime.path, "exec"), 1)
        return code


def _run(
    it: Prepared,
    monitor: ExecMonitor,
    stdin: bytes | int | None,
    output: Output,
    begin: Begin,
) -> int | None:
    spool = Spool(it.host.places.container(it.record.id))
    try:
        with Pump(monitor.client, stdin, spool, terminal=True) as pump:
            watched = begin(monitor.client)
            monitor.begin()
            if not pump.follow(output, watched, it.deadline):
                it.cgroup.kill(KILL_PATIENCE)
                pump.follow(output, {}, Deadline.after(KILL_PATIENCE))
                it.raise_timeout()
    finally:
        spool.close()
    code = monitor.exit_code(Deadline.after(_ENDING))
    if code is None and it.begun:
        message = (
            f"the monitor of `{it.wanted.command[0]}` in container `{it.record.name}` has died, "
            "and the command was killed"
        )
        raise MonitorError(message)
    return code
