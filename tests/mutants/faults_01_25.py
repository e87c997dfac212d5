"""What defends against the faults F1 to F25, taken away piece by piece."""

from mutants.mutant import Mutant

_ATTACH = "python/podcore/monitor/attach.py"
_CONMON = "python/podcore/monitor/conmon.py"
_CREATE = "python/podcore/lifecycle/create.py"
_EXITS = "python/podcore/monitor/exits.py"
_INTERFACE = "python/podcore/oci/interface.py"
_OBSERVE = "python/podcore/observe.py"
_PLACES = "python/podcore/places.py"
_PURGE = "python/podcore/lifecycle/purge.py"
_RECONCILE = "python/podcore/reconcile.py"
_SETTLE = "python/podcore/lifecycle/settle.py"
_STORE = "python/podcore/store/store.py"

_CRASH = "integration/test_crash.py"
_FAKE_CONMON = "monitor/test_fake_conmon.py"
_FAKE_RUNTIMES = "oci/test_fake_runtimes.py"
_FAULTS = "faults/test_monitor_and_runtime.py"
_MATRIX = "testing/test_matrix.py::test_after_a_death_the_next_command_puts_things_right"
_SWEEP = "chaos/test_sweep.py::test_a_verb_that_is_killed_at_a_system_call_can_be_repeated"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "F1",
        "python/podcore/operations/system/orphans.py",
        "        *_homes(host),\n",
        "",
        f"{_MATRIX}[runc-create-containers.after-homes]",
        "the look for directories that were made ahead of a row",
    ),
    Mutant(
        "F2",
        _RECONCILE,
        "return Decision(ContainerStatus.CONFIGURED, (Action.PURGE,))\n    if state is",
        "return Decision(ContainerStatus.CONFIGURED)\n    if state is",
        f"{_MATRIX}[runc-create.after-bundle]",
        "the removal of what a create left whose caller died",
    ),
    Mutant(
        "F3",
        _PURGE,
        "    _end_workers(host, record, None if interrupted else _known(host, record))\n    failpoint",
        "    failpoint",
        f"{_CRASH}::test_a_killed_start_is_finished_by_the_next_one_and_leaves_no_orphan"
        "[crun-before-create]",
        "the end of the monitor and the runtime whose caller died",
    ),
    Mutant(
        "F3",
        _PURGE,
        "    while found := _workers(host, record, among=among):\n",
        "    if found := _workers(host, record, among=among):\n",
        f"{_FAULTS}::test_f3_what_a_left_monitor_forks_as_it_is_killed_ends_before_anything_is_removed"
        "[crun]",
        "the second look for what forks while it is killed",
    ),
    Mutant(
        "F3",
        _PURGE,
        "    if interrupted and _workers(host, record):\n",
        "    if False:\n",
        f"{_FAULTS}::test_f3_a_monitor_that_appears_while_its_attempt_is_removed_is_ended[crun]",
        "the look for what its caller had forked, but did not yet show",
    ),
    Mutant(
        "F4",
        _RECONCILE,
        "return Decision(ContainerStatus.CONFIGURED, (Action.PURGE,))\n    if state is",
        "return Decision(ContainerStatus.CREATED)\n    if state is",
        f"{_MATRIX}[runc-create.after-launch]",
        "the refusal to adopt an attempt that nobody has committed",
    ),
    Mutant(
        "F5",
        _SETTLE,
        'Verb.START: b"start", ',
        "",
        f"{_CRASH}::test_any_verb_goes_on_from_a_killed_start[crun-stop-after-start]",
        "the end of the runtime's start whose caller died",
    ),
    Mutant(
        "F5",
        _OBSERVE,
        "if not begun and awaits_start(host, record):",
        "if not begun and False:",
        f"{_CRASH}::test_a_killed_start_is_finished_by_the_next_one_and_leaves_no_orphan"
        "[crun-before-start]",
        "the look whether a created container was started",
    ),
    Mutant(
        "F6",
        _OBSERVE,
        "intent.owner == host.me or process.alive(intent.owner)",
        "intent.owner == host.me or intent.verb is Verb.STOP",
        f"{_CRASH}::test_a_killed_stop_is_not_sticky",
        "the look whether the one who stops it lives",
    ),
    Mutant(
        "F6",
        _SETTLE,
        "if intent.verb is Verb.STOP and process.alive(intent.owner):",
        "if intent.verb is Verb.STOP:",
        f"{_CRASH}::test_a_killed_stop_is_not_sticky",
        "the same look, under the lock",
    ),
    Mutant(
        "F7",
        _RECONCILE,
        "if state is ContainerStatus.REMOVING or verb is Verb.REMOVE:",
        "if verb is Verb.PAUSE:",
        f"{_CRASH}::test_a_killed_removal_is_finished_by_the_next_one",
        "the rule that a removal once begun is finished",
    ),
    Mutant(
        "F7",
        "python/podcore/operations/remove.py",
        "change.save_pod(replace(taken.pod, removing=True))",
        "change.save_pod(taken.pod)",
        f"{_MATRIX}[runc-remove-pod.after-mark]",
        "the mark of a pod whose removal was begun",
    ),
    Mutant(
        "F8",
        "python/podcore/operations/create.py",
        "rows = [change.add_container(row) for row in rows]",
        'rows = [(change.add_container(row), change._do("COMMIT"), change._do("BEGIN"))[0] '
        "for row in rows]",
        "testing/test_matrix.py::test_of_several_containers_a_death_leaves_all_or_none",
        "the one transaction of all rows",
    ),
    Mutant(
        "F9",
        _PURGE,
        "    _end_workers(host, record, None if interrupted else _known(host, record))\n    failpoint",
        "    failpoint",
        f"{_CRASH}::test_a_killed_restart_is_finished_by_a_start",
        "the end of what a killed batch had under way",
    ),
    Mutant(
        "F10",
        _RECONCILE,
        "return Decision(ContainerStatus.CONFIGURED, (Action.PURGE,))\n    if state is",
        "return Decision(ContainerStatus.CONFIGURED)\n    if state is",
        f"{_SWEEP}[start]",
        "the removal of what a create left whose caller died",
    ),
    Mutant(
        "F11",
        "python/podcore/operations/crew.py",
        "return self._stopping or self._plan.finished",
        "return self._plan.finished",
        "unit/test_crew.py::test_ctrl_c_hands_out_no_more_jobs_and_lets_those_under_way_end",
        "the end of handing out jobs",
    ),
    Mutant(
        "F11",
        "python/podcore/operations/crew.py",
        "for thread in self._threads:\n                _join(thread)",
        "pass",
        "unit/test_crew.py::test_ctrl_c_hands_out_no_more_jobs_and_lets_those_under_way_end",
        "the wait for the jobs under way",
    ),
    Mutant(
        "F11",
        "python/podcore/operations/crew.py",
        "            if time.monotonic() > until:\n",
        "            if time.monotonic() < until:\n",
        "unit/test_crew.py::test_ctrl_c_as_a_thread_begins_waits_for_it_all_the_same",
        "the wait for a thread that has yet to begin",
    ),
    Mutant(
        "F11",
        "python/podcore/cli/main.py",
        "    signal.signal(signal.SIGTERM, _interrupt)\n",
        "",
        "integration/test_stop.py::test_a_signal_to_a_stop_ends_it_in_an_orderly_way[crun-TERM]",
        "the handler of SIGTERM",
    ),
    Mutant(
        "F12",
        "rust/src/lock/table.rs",
        "self.born != sys::generation()",
        "false && self.born != sys::generation()",
        "core/test_locks.py::test_forked_child_closes_raises_and_releases_nothing",
        "the notice that this is the child of a fork",
    ),
    Mutant(
        "F12",
        "rust/src/lock/sys.rs",
        "unsafe { libc::close(fd) };\n            bits &= bits - 1;",
        "let _ = fd;\n            bits &= bits - 1;",
        "core/test_locks.py::test_forked_child_closes_raises_and_releases_nothing",
        "the closing of inherited lock files",
    ),
    Mutant(
        "F12",
        _STORE,
        "for connection in [*self._idle, *self._busy]:",
        "for connection in self._idle:",
        "store/test_store.py::test_a_child_of_a_fork_can_not_use_it_nor_end_the_parents_transaction",
        "the abandoning of the parent's transaction",
    ),
    Mutant(
        "F13",
        "rust/src/py/errors.rs",
        "catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| "
        "Err(internal_error(py, &*panic)))",
        "Ok::<_, Box<dyn Any + Send>>(body()).unwrap_or_else(|panic| "
        "Err(internal_error(py, &*panic)))",
        "core/test_graph.py::test_panic_of_the_core_is_an_internal_error",
        "the catching of panics",
    ),
    Mutant(
        "F14",
        _OBSERVE,
        "if record.init is None or not process.alive(record.init)",
        "if record.init is None or not record.monitor or not process.alive(record.monitor)",
        f"{_CRASH}::test_a_container_outlives_its_monitor[crun]",
        "the look at the container's own process instead of its monitor",
    ),
    Mutant(
        "F14",
        _OBSERVE,
        "if record.monitor is not None and process.alive(record.monitor):",
        "if record.monitor is not None:",
        f"{_CRASH}::test_a_container_that_dies_after_its_monitor_is_exited",
        "the look whether anybody is left to write an exit file",
    ),
    Mutant(
        "F15",
        _CREATE,
        "    try:\n        purge(held.host, held.record)\n",
        "    try:\n",
        f"{_CRASH}::test_a_monitor_that_is_killed_while_it_creates_is_an_error[crun-before-create]",
        "the removal of what a failed create left",
    ),
    Mutant(
        "F16",
        _OBSERVE,
        "is Exit.PENDING and time.monotonic() < deadline:",
        "is Exit.PENDING and deadline:",
        f"{_FAULTS}::test_f16_a_stopped_monitor_holds_up_nobody_for_longer_than_the_deadline",
        "the deadline of the monitor's exit file",
    ),
    Mutant(
        "F17",
        _CONMON,
        "if done.returncode != 0 or known is None:\n",
        'if known is None:\n            return "0"\n        if done.returncode != 0:\n',
        f"{_FAKE_CONMON}::TestFinding::test_another_program_has_no_version",
        "the look at what the program calls itself",
    ),
    Mutant(
        "F17",
        "python/podcore/programs.py",
        "if not os.access(path, os.X_OK):",
        "if not os.access(path, os.R_OK):",
        f"{_FAKE_CONMON}::TestFinding::test_one_that_is_not_executable_is_refused",
        "the look whether the program can be executed",
    ),
    Mutant(
        "F17",
        _CONMON,
        "if objection := programs.objection(found):",
        "if os.path.exists(found) and (objection := programs.objection(found)):",
        f"{_FAKE_CONMON}::TestFinding::test_a_missing_conmon_says_how_to_get_it",
        "the look whether the program is there",
    ),
    Mutant(
        "F18",
        _EXITS,
        'for path in (f"{persist_dir}/exit", f"{exit_dir}/{container_id}"):',
        'for path in (f"{exit_dir}/{container_id}",):',
        f"{_FAULTS}::test_f18_an_exit_code_survives_the_run_directory[crun-gone]",
        "the second copy of the exit file",
    ),
    Mutant(
        "F19",
        _EXITS,
        "and int(known[1]) <= 255:",
        "and known:",
        "monitor/test_exits.py::test_anything_else_is_an_unknown_exit_and_never_waited_for[too big]",
        "the limit of an exit code",
    ),
    Mutant(
        "F19",
        _EXITS,
        "(errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM)",
        "(errno.ENXIO, errno.EACCES, errno.EPERM)",
        "integration/test_status.py::test_a_damaged_exit_file_makes_an_unknown_code_with_a_reason"
        "[crun-link]",
        "the rule that a link is an unknown exit",
    ),
    Mutant(
        "F20",
        _PLACES,
        'return f"{self.root}/containers/{container_id}/exit.{incarnation}"',
        'return f"{self.root}/containers/{container_id}/exit"',
        "unit/test_observe.py::test_the_exit_file_of_another_incarnation_means_nothing",
        "the exit directory of each incarnation",
    ),
    Mutant(
        "F21",
        _CONMON,
        "if type(pid) is int and 0 < pid <= _MAX_PID:",
        "if isinstance(pid, int) and 0 < pid <= _MAX_PID:",
        f"{_FAKE_CONMON}::test_an_unintelligible_answer_is_a_protocol_error",
        "the look whether the answer is a number",
    ),
    Mutant(
        "F21",
        _CONMON,
        "    if not newline:\n        raise _broken_off(launch, data, complaints)\n",
        "",
        f"{_FAKE_CONMON}::test_half_a_line_is_a_protocol_error",
        "the wait for the whole line",
    ),
    Mutant(
        "F21",
        _CONMON,
        "while len(data) <= _ANSWER_CAP:",
        "while True:",
        f"{_FAKE_CONMON}::test_an_endless_answer_is_cut_off",
        "the limit of an answer's length",
    ),
    Mutant(
        "F22",
        _CONMON,
        '            "--full-attach",\n',
        "",
        "monitor/test_launch.py::test_a_deep_bundle_directory_is_no_obstacle[crun]",
        "conmon's way around the limit of a socket's path",
    ),
    Mutant(
        "F22",
        _ATTACH,
        'f"/proc/self/fd/{held}/attach"',
        'f"{directory}/attach"',
        "pods/test_attach.py::test_input_output_and_exit_code_are_complete[crun]",
        "the same of podcore's clients",
    ),
    Mutant(
        "F22",
        _ATTACH,
        "                _limit_patience(connection, monitor, deadline)\n",
        "",
        "pods/test_attach.py::test_a_client_that_is_stopped_holds_up_neither_container_nor_monitor"
        "[crun]",
        "the limit of how long conmon waits for a client",
    ),
    Mutant(
        "F23",
        _CREATE,
        "    try:\n        purge(held.host, held.record)\n",
        "    try:\n",
        f"{_FAULTS}::test_f23_a_runtime_that_is_killed_in_the_middle_of_a_create_leaves_nothing"
        "[runc]",
        "the removal of what a failed create left",
    ),
    Mutant(
        "F24",
        _INTERFACE,
        "return command.run(argv, timeout=timeout, executable=executable)",
        "return command.run(argv, timeout=timeout + 3600, executable=executable)",
        f"{_FAKE_RUNTIMES}::test_every_verb_has_a_deadline[start]",
        "the deadline of the runtime's verbs",
    ),
    Mutant(
        "F24",
        _CONMON,
        "            if deadline.expired:\n",
        "            if deadline.expired and data:\n",
        f"{_FAKE_CONMON}::test_silence_ends_at_the_deadline",
        "the deadline of a create",
    ),
    Mutant(
        "F25",
        _INTERFACE,
        'if isinstance(said, dict) and said.get("id") == container_id:',
        "if isinstance(said, dict):",
        f"{_FAKE_RUNTIMES}::test_a_senseless_state_is_a_protocol_error",
        "the look whose state it is",
    ),
    Mutant(
        "F25",
        _INTERFACE,
        "if status in _STATES and type(pid) is int",
        "if type(pid) is int",
        f"{_FAKE_RUNTIMES}::test_a_senseless_state_is_a_protocol_error",
        "the look at what state it is",
    ),
)
