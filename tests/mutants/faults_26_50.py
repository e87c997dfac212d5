"""What defends against the faults F26 to F50, taken away piece by piece."""

from mutants.mutant import Mutant

_BROUGHT = "python/podcore/lifecycle/brought.py"
_CONNECTION = "python/podcore/store/connection.py"
_CREATE = "python/podcore/lifecycle/create.py"
_CREATION = "python/podcore/store/creation.py"
_KILLING = "python/podcore/kernel/killing.py"
_LOG_FILE = "python/podcore/monitor/log_file.py"
_OBSERVE = "python/podcore/observe.py"
_PROCESS = "python/podcore/kernel/process.py"
_PURGE = "python/podcore/lifecycle/purge.py"
_START = "python/podcore/lifecycle/start.py"
_STORE = "python/podcore/store/store.py"

_DISK = "faults/test_disk.py"
_FAULTS = "faults/test_monitor_and_runtime.py"
_HOST = "faults/test_host.py"
_MIGRATION = "store/test_migration.py"
_REBUILD = "system/test_rebuild.py"
_RIG = "testing/test_rig.py"
_RUNTIME = "faults/test_runtime.py"
_STRANGERS = f"{_RUNTIME}::test_f37_whoever_has_the_pids_of_dead_processes_now_is_never_signalled"
_STORE_DISKS = "store/test_disks.py"
_STORE_FAULTS = "store/test_faults.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "F26",
        _START,
        "if failure is None and not _has_no_effect(held):",
        "if failure is None:",
        f"{_RIG}::test_a_start_that_goes_wrong_fails_with_a_type_and_can_be_repeated"
        "[runc-rc0-no-effect:start-OCIRuntimeProtocolError]",
        "the look whether a start that is said to have succeeded has done anything",
    ),
    Mutant(
        "F26",
        _PURGE,
        "            runtime.delete(record.id, force=True, log=log)\n    runtime.purge(record.id)\n",
        "            runtime.delete(record.id, force=True, log=log)\n",
        f"{_RIG}::test_what_a_runtime_does_not_delete_is_deleted_without_it"
        "[runc-rc0-no-effect:delete]",
        "the removal of what a delete has left that is said to have succeeded",
    ),
    Mutant(
        "F27",
        _START,
        "    if now.state is ContainerStatus.RUNNING:\n"
        "        yield from _commit_running(held)\n        return\n    yield Commit(now",
        "    yield Commit(now",
        f"{_RIG}::test_a_start_that_only_looks_wrong_succeeds[runc-rc1-with-effect:start]",
        "the look whether a start that is said to have failed has worked",
    ),
    Mutant(
        "F28",
        _CREATE,
        "    runtime = host.runtime(record.oci_runtime)\n",
        "    runtime = host.runtime(host.default_runtime())\n",
        f"{_RUNTIME}::test_f28_a_container_outlives_the_replacement_of_its_runtime[crun-true]",
        "the runtime that a container is pinned to",
    ),
    Mutant(
        "F29",
        _OBSERVE,
        "    begun = record.state in ALIVE\n",
        "    begun = False\n",
        "integration/test_crash.py::test_a_runtime_that_has_lost_its_state_is_not_needed[crun]",
        "the belief in the process rather than in the runtime's state",
    ),
    Mutant(
        "F30",
        _PURGE,
        "with contextlib.suppress(OCIRuntimeError):",
        "with contextlib.nullcontext():",
        f"{_FAULTS}::test_f30_damaged_runtime_state_stops_no_verb[runc-truncated]",
        "the removal without a runtime that refuses it",
    ),
    Mutant(
        "F31",
        _CREATE,
        "        purge(held.host, held.record)\n        yield Commit(\n"
        "            held.record.but(state=ContainerStatus.CONFIGURED, init=None, monitor=None, intent=None)\n"
        "        )\n    except Exception",
        "        yield Commit(\n"
        "            held.record.but(state=ContainerStatus.CONFIGURED, init=None, monitor=None, intent=None)\n"
        "        )\n    except Exception",
        f"{_RUNTIME}::test_f31_what_the_runtime_knows_of_an_unstarted_container_is_told_and_never_adopted"
        "[crun]",
        "the end of what stood in the way of a create",
    ),
    Mutant(
        "F31",
        "python/podcore/operations/system/objects.py",
        "if record.state is ContainerStatus.CONFIGURED and _left_behind(host, record):",
        "if False:",
        f"{_RUNTIME}::test_f31_what_the_runtime_knows_of_an_unstarted_container_is_told_and_never_adopted"
        "[crun]",
        "the finding of what belongs to a container that was not created",
    ),
    Mutant(
        "F32",
        _START,
        "    if now.state is ContainerStatus.EXITED:\n        how",
        "    if failure is None:\n        how",
        f"{_RUNTIME}::test_f32_a_process_that_dies_between_create_and_start_fails_the_start_by_its_exit_code"
        "[crun]",
        "the exit code of a process that never came to its command",
    ),
    Mutant(
        "F33",
        _START,
        "if failure is None and not _has_no_effect(held):",
        "if failure is None and record.init and process.alive(record.init):",
        f"{_RUNTIME}::test_f33_a_container_that_is_gone_when_its_start_returns_has_been_started"
        "[crun]",
        "the success of a start whose container has ended already",
    ),
    Mutant(
        "F34",
        _OBSERVE,
        "    if host.cgroup(record.cgroup_path).frozen():\n",
        "    if False:\n",
        f"{_FAULTS}::test_f34_a_container_that_somebody_else_froze[crun-stop]",
        "the look at the freezer",
    ),
    Mutant(
        "F34",
        _KILLING,
        "        cgroup.thaw()\n        known",
        "        known",
        f"{_FAULTS}::test_f34_a_container_that_somebody_else_froze[crun-remove]",
        "the thaw of what is killed",
    ),
    Mutant(
        "F35",
        _PURGE,
        "    left = host.cgroup(record.cgroup_path).kill(KILL_PATIENCE)\n    if left:\n",
        "    left = host.cgroup(record.cgroup_path).kill(KILL_PATIENCE)\n    if not record:\n",
        f"{_FAULTS}::test_f35_what_can_not_be_killed_is_never_said_to_have_exited[crun]",
        "the look whether SIGKILL has emptied the cgroup",
    ),
    Mutant(
        "F36",
        "python/podcore/lifecycle/stop.py",
        "time.monotonic() + seconds, seconds",
        "time.monotonic() + seconds + 35, seconds",
        "integration/test_stop.py::test_one_that_does_not_stop_in_time_is_killed_and_its_row_says_so"
        "[crun]",
        "the moment when SIGKILL is due",
    ),
    Mutant(
        "F37",
        _PROCESS,
        "    return identify(identity.pid) == identity\n",
        "    return identify(identity.pid) is not None\n",
        f"{_STRANGERS}[crun-nobody-kill]",
        "the start time in what a process is known by",
    ),
    Mutant(
        "F37",
        "python/podcore/lifecycle/settle.py",
        "observe(host, record, closely=True)",
        "observe(host, record)",
        f"{_STRANGERS}[crun-init-stop]",
        "the look at the cgroup of a process that has the right start time",
    ),
    Mutant(
        "F37",
        _PROCESS,
        "        if cgroup is not None and not in_cgroup(identity.pid, cgroup):\n",
        "        if cgroup is None:\n",
        "kernel/test_process.py::test_a_signal_is_withheld_from_a_process_in_another_cgroup",
        "the cgroup in what a process is signalled by",
    ),
    Mutant(
        "F37",
        _PURGE,
        "    while found := _workers(host, record, among=among):\n",
        "    known = [record.monitor] if record.monitor else []\n"
        "    while found := _workers(host, record, among=among) "
        "+ [one for one in known if process.alive(one)]:\n",
        f"{_RUNTIME}::test_f37_who_has_the_pid_of_a_dead_monitor_is_not_ended_with_its_container"
        "[crun]",
        "the command line that a monitor is known by",
    ),
    Mutant(
        "F38",
        "python/podcore/monitor/exits.py",
        '    return os.path.lexists(f"{persist_dir}/oom")\n',
        "    return False\n",
        "pods/test_limits.py::test_a_memory_hog_is_killed_and_shown_as_such[crun]",
        "what the monitor says of a want of memory",
    ),
    Mutant(
        "F39",
        "python/podcore/monitor/conmon.py",
        "                _end(front, launch, _GRACE if type(error) is OCIRuntimeError else 0.0)\n",
        "",
        "monitor/test_launch.py::test_the_deadline_ends_monitor_runtime_and_hook[crun]",
        "the end of a monitor that has not answered by the deadline",
    ),
    Mutant(
        "F40",
        _STORE,
        "                else:\n                    reserve.spend(self.path, connection)\n",
        "",
        f"{_DISK}::test_f40_on_a_full_disk_nothing_is_half_made_and_what_runs_can_be_stopped"
        "[crun-fill-left_by0]",
        "the space for those who add nothing",
    ),
    Mutant(
        "F40",
        "python/podcore/store/reserve.py",
        '        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()\n',
        "        pass\n",
        f"{_STORE_DISKS}::test_on_a_full_disk_what_adds_nothing_goes_on_and_what_adds_something_does_not",
        "the journal that is written over instead of growing",
    ),
    Mutant(
        "F40",
        _STORE,
        "                    reserve.keep(self.path)\n",
        "                    pass\n",
        f"{_STORE_DISKS}::test_on_a_full_disk_what_adds_nothing_goes_on_and_what_adds_something_does_not",
        "the reserve",
    ),
    Mutant(
        "F40",
        "python/podcore/store/faults.py",
        "        result = starved or _unusable(error, path, code)\n",
        "        result = _unusable(error, path, code)\n",
        f"{_STORE_DISKS}::test_a_full_disk_is_typed_and_nothing_is_half_written",
        "the type of an error that says that there is no space",
    ),
    Mutant(
        "F41",
        _STORE,
        "        if not os.access(os.path.dirname(self.path), os.W_OK):\n",
        "        if not self.path:\n",
        f"{_DISK}::test_f41_on_a_read_only_disk_all_is_seen_and_nothing_is_changed[crun]",
        "the look whether anything can be made there",
    ),
    Mutant(
        "F41",
        _CONNECTION,
        "        if os.access(os.path.dirname(path), os.W_OK):\n            raise\n"
        "        return opened_unchanging(path)\n",
        "        raise\n",
        f"{_STORE_DISKS}::test_a_read_only_filesystem_can_be_read[gone]",
        "the opening of what can't change",
    ),
    Mutant(
        "F42",
        _CONNECTION,
        'if self._number("application_id") != schema.APPLICATION_ID or self.version < 1:',
        "if self.version < 1:",
        f"{_STORE_FAULTS}::test_somebody_elses_database_is_refused[application_id = 1]",
        "the look whose database it is",
    ),
    Mutant(
        "F42",
        "python/podcore/store/faults.py",
        "    elif isinstance(error, apsw.CorruptError | apsw.NotADBError | apsw.SQLError):\n",
        "    elif isinstance(error, apsw.SQLError):\n",
        f"{_REBUILD}::test_everything_is_as_before[runc-overwrite]",
        "the type of an error that says that it is damaged",
    ),
    Mutant(
        "F43",
        "python/podcore/backend.py",
        "        if unknown or homeless or later or pods - rows.pods:\n",
        "        if homeless:\n",
        f"{_REBUILD}::test_everything_is_as_before[runc-delete_journal]",
        "the look whether a database without a journal knows what is there",
    ),
    Mutant(
        "F43",
        _STORE,
        "                if connection.read_only or connection.journals == journals(self.path):\n",
        "                if connection.identity:\n",
        f"{_REBUILD}::test_a_journal_that_goes_while_it_is_in_use_is_noticed_before_anything_is_lost"
        "[runc--shm]",
        "the look whether the journal is still the one that was opened",
    ),
    Mutant(
        "F43",
        _CREATION,
        '        if os.path.lexists(f"{path}-wal"):\n',
        "        if not path:\n",
        f"{_STORE_FAULTS}::test_the_journal_of_a_lost_database_is_not_taken_for_a_new_ones",
        "the look for the journal of an earlier database",
    ),
    Mutant(
        "F44",
        _CONNECTION,
        "        if self.version > schema.version():\n",
        "        if self.version < 0:\n",
        f"{_STORE_FAULTS}::test_a_newer_database_is_refused_and_left_alone",
        "the refusal of a newer schema",
    ),
    Mutant(
        "F44",
        _CREATION,
        '    connection.execute(f"PRAGMA user_version = {version + 1}")\n'
        '    connection.execute("COMMIT")\n',
        '    connection.execute("COMMIT")\n'
        '    connection.execute(f"PRAGMA user_version = {version + 1}")\n',
        f"{_MIGRATION}::test_a_migration_that_is_killed_at_any_statement_is_finished_by_the_next_one",
        "the one transaction for a version and its number",
    ),
    Mutant(
        "F44",
        _CREATION,
        "            _back_up(connection, path)\n",
        "",
        f"{_MIGRATION}::test_an_older_database_is_brought_up_to_date_after_a_copy",
        "the copy before a migration",
    ),
    Mutant(
        "F45",
        _STORE,
        "                connection.set_patience(_coarse(deadline - time.monotonic()))\n",
        "",
        f"{_STORE_FAULTS}::test_another_programs_transaction_is_an_error_at_the_deadline_and_readers_go_on",
        "the deadline of the wait for another program",
    ),
    Mutant(
        "F46",
        _CONNECTION,
        "            self.execute(f\"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}\")\n",
        "",
        f"{_STORE_DISKS}::test_a_commit_that_an_input_or_output_error_ends_is_undone_and_the_next_one_works"
        "[fdatasync]",
        "the synchronous commit, whose error would be seen",
    ),
    Mutant(
        "F46",
        "python/podcore/store/faults.py",
        "apsw.FullError | apsw.NoMemError | apsw.IOError | apsw.CantOpenError",
        "apsw.FullError | apsw.NoMemError | apsw.CantOpenError",
        f"{_STORE_DISKS}::test_a_commit_that_an_input_or_output_error_ends_is_undone_and_the_next_one_works"
        "[pwrite64]",
        "the type of an input or output error",
    ),
    Mutant(
        "F48",
        _BROUGHT,
        "    if not expected or not verify(directory, expected):\n",
        "    if not expected:\n",
        f"{_HOST}::test_f48_a_bundle_that_is_not_what_was_accepted_is_never_started[crun-change_it]",
        "the comparison of the bundle with what was accepted",
    ),
    Mutant(
        "F49",
        _LOG_FILE,
        "    if not stat.S_ISREG(found.st_mode):\n",
        "    if not found:\n",
        f"{_HOST}::test_f49_what_is_no_log_is_neither_waited_for_nor_followed[crun-mkfifo]",
        "the look what the log is",
    ),
    Mutant(
        "F49",
        _LOG_FILE,
        '            os.write(fd, b"\\n")\n',
        "            pass\n",
        f"{_DISK}::test_f49_on_a_full_disk_a_container_is_not_held_up_by_its_log[crun]",
        "the end of a record that was cut short",
    ),
    Mutant(
        "F50",
        "python/podcore/operations/batch.py",
        "            seconds=time.monotonic() - self._start,\n",
        "            seconds=time.time() - self._start,\n",
        f"{_HOST}::test_f50_a_clock_that_jumps_changes_no_deadline_and_no_order[crun--86400.0]",
        "the clock that does not jump, for how long it took",
    ),
    Mutant(
        "F50",
        "python/podcore/store/view.py",
        '{some} ORDER BY c.number", *values)',
        '{some} ORDER BY c.created", *values)',
        f"{_HOST}::test_f50_a_clock_that_jumps_changes_no_deadline_and_no_order[crun--86400.0]",
        "the order of creation that no clock decides",
    ),
)
