"""What defends against the faults F51 to F76, taken away piece by piece."""

from mutants.mutant import Mutant

_SESSION = "rust/src/lock/session.rs"
_FILES = "python/podcore/kernel/files.py"
_EXHAUSTION = "python/podcore/kernel/exhaustion.py"
_CREATE = "python/podcore/operations/create.py"
_LOGS = "python/podcore/monitor/logs.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "F51",
        "python/podcore/observe.py",
        'same_boot = record.boot_id in ("", host.boot_id)\n',
        "same_boot = True\n",
        "integration/test_crash.py::test_after_a_reboot_nothing_runs_and_everything_starts_again"
        "[crun-run-directory-gone]",
        "the comparison of boots",
    ),
    Mutant(
        "F52",
        "python/podcore/lifecycle/purge.py",
        "    while found := _workers(host, record, among=among):\n",
        "    known = [record.monitor] if record.monitor else []\n"
        "    while found := _workers(host, record, among=among) "
        "+ [one for one in known if process.alive(one)]:\n",
        "faults/test_boot.py::test_f52_processes_that_look_like_those_of_the_last_boot_are_spared"
        "[crun-create]",
        "the look at the command line of a monitor of another boot",
    ),
    Mutant(
        "F52",
        "python/podcore/observe.py",
        "seen = _process(host, record) if same_boot else Process.GONE\n",
        "seen = _process(host, record)\n",
        "unit/test_observe.py::test_after_a_reboot_no_process_counts",
        "disbelief in the pids of another boot",
    ),
    Mutant(
        "F53",
        "python/podcore/store/creation.py",
        "        if os.path.lexists(path):\n            return\n        if os.path.lexists(f",
        "        if os.path.lexists(f",
        "faults/test_boot.py::test_f53_sixteen_processes_are_the_first_at_once[crun-ever]",
        "the second look for a database, under the lock",
    ),
    Mutant(
        "F54",
        _EXHAUSTION,
        "    errno.EMFILE: (",
        "    errno.EUCLEAN: (",
        "faults/test_host.py::"
        "test_f54_without_descriptors_a_start_fails_by_its_type_and_goes_on_later[crun-5]",
        "the type of running out of descriptors",
    ),
    Mutant(
        "F55",
        _EXHAUSTION,
        "    errno.EAGAIN: (",
        "    errno.EUCLEAN: (",
        "faults/test_host.py::test_f55_without_processes_a_start_fails_by_its_type_and_goes_on_later",
        "the type of running out of processes",
    ),
    Mutant(
        "F56",
        _SESSION,
        "        Ok(Some(self.note(state, key, shared, None)))\n",
        "        let own = self.table.open_file(index)?;\n"
        "        Ok(Some(self.note(state, key, shared, Some(own))))\n",
        "core/test_locks.py::test_ten_thousand_locks_need_few_descriptors",
        "one description for all locks of a file",
    ),
    Mutant(
        "F57",
        _SESSION,
        "        self.table.notes.write(key, &self.author);\n",
        "",
        "contention/test_locks.py::test_stopped_holder_gives_the_others_a_timeout_that_names_it",
        "the note of who holds a lock",
    ),
    Mutant(
        "F57",
        "rust/src/lock/notes.rs",
        "if alive == Err(rustix::io::Errno::SRCH) {",
        "if alive == Ok(()) {",
        "contention/test_locks.py::test_stopped_holder_gives_the_others_a_timeout_that_names_it",
        "belief in a holder that lives",
    ),
    Mutant(
        "F58",
        _SESSION,
        "if self.table.is_current(file, &own).map_err(Blocked::from)? {",
        "if true {",
        "core/test_locks.py::test_lock_on_a_file_that_went_while_it_was_waited_for_is_not_believed",
        "the look at a lock file's place, once the lock is there",
    ),
    Mutant(
        "F58",
        "rust/src/lock/table.rs",
        "            if has_locks(known)? {\n",
        "            if false && has_locks(known)? {\n",
        "core/test_locks.py::test_lock_file_that_goes_while_it_is_locked_is_detected",
        "the look whether a replaced lock file is still locked",
    ),
    Mutant(
        "F58",
        "rust/src/lock/filesystem.rs",
        '(0x6573_5546, "FUSE")',
        '(0x6573_5547, "FUSE")',
        "faults/test_boot.py::test_f58_locks_on_a_file_system_of_others_are_refused_by_name",
        "the refusal of FUSE",
    ),
    Mutant(
        "F59",
        _SESSION,
        "fn mark(shared: bool) -> Mark {\n    if shared {",
        "fn mark(shared: bool) -> Mark {\n    if shared || !shared {",
        "integration/test_contention.py::test_any_mix_of_verbs_breaks_no_contract",
        "exclusion",
    ),
    Mutant(
        "F59",
        "python/podcore/operations/restart.py",
        "                now,\n                batch,\n",
        "                looked_at(host, taken),\n                batch,\n",
        "contention/test_answers.py::"
        "test_a_restart_leaves_alone_what_it_found_paused_even_if_it_is_thawed_then",
        "the one look that decides what a restart leaves alone",
    ),
    Mutant(
        "F59",
        "python/podcore/observe.py",
        "    if verb is None and record.intent is not None and record.intent.verb is Verb.CREATE:\n",
        "    if verb is Verb.CREATE:\n",
        "contention/test_answers.py::"
        "test_what_was_created_ahead_is_not_seen_to_have_exited_when_that_is_taken_back",
        "the trust in who takes back what was created ahead",
    ),
    Mutant(
        "F60",
        "python/podcore/observe.py",
        "        record = view.container(which.id)\n",
        "        record = view.container(which.id) or which\n",
        "faults/test_concurrency.py::"
        "test_f60_one_removal_of_a_container_wins_against_starts_and_removals",
        "the look, under its lock, whether a container is still there",
    ),
    Mutant(
        "F60",
        "python/podcore/operations/snapshot.py",
        "        found = view.pod(pod.id)\n",
        "        found = view.pod(pod.id) or pod\n",
        "faults/test_concurrency.py::"
        "test_f60_one_removal_of_a_pod_wins_against_starts_and_removals",
        "the look, under its lock, whether a pod is still there",
    ),
    Mutant(
        "F61",
        "python/podcore/operations/status.py",
        "    return {record.id: record.state for record in true_records(host, taken.members)}\n",
        '    with host.session("status") as session:\n'
        "        for member in taken.members:\n"
        '            session.acquire("container", member.number, shared=True, timeout=5)\n'
        "        records = true_records(host, taken.members)\n"
        "    return {record.id: record.state for record in records}\n",
        "faults/test_concurrency.py::"
        "test_f61_reads_do_not_wait_for_a_stop_that_hangs_under_its_locks",
        "reads that take no lock",
    ),
    Mutant(
        "F62",
        _SESSION,
        ".is_some_and(|turn| turn > PATIENCE)",
        ".is_some_and(|turn| turn > PATIENCE && turn < PATIENCE)",
        "contention/test_locks.py::test_who_asks_again_does_not_overtake_who_waits",
        "the queue at the gate",
    ),
    Mutant(
        "F62",
        _SESSION,
        "fn mark(shared: bool) -> Mark {\n    if shared {",
        "fn mark(shared: bool) -> Mark {\n    if shared || !shared {",
        "faults/test_concurrency.py::test_f62_thirty_two_threads_all_get_a_lock",
        "exclusion between threads",
    ),
    Mutant(
        "F63",
        "python/podcore/kernel/process.py",
        "    pidfd = open_pidfd(identity)\n    if pidfd is None:\n        return False\n",
        "    pidfd = open_pidfd(identity)\n    if pidfd is None:\n"
        '        raise ProcessLookupError(f"no process {identity.pid}")\n',
        "faults/test_concurrency.py::"
        "test_f63_a_container_that_exits_before_it_is_acted_on_is_no_error[crun-stop]",
        "forbearance with a process that is gone",
    ),
    Mutant(
        "F64",
        _SESSION,
        "            && key <= last\n",
        "            && key <= last && state.closed\n",
        "core/test_locks.py::test_asking_out_of_order_raises_at_once",
        "the order of locks",
    ),
    Mutant(
        "F64",
        "python/podcore/lifecycle/nesting.py",
        "if held == wanted.id and (exclusive or exclusively):",
        "if held == wanted.id and exclusively:",
        "faults/test_concurrency.py::"
        "test_f64_what_a_progress_calls_does_not_wait_for_the_verb_that_calls_it",
        "the refusal to wait for the verb that a call is made from",
    ),
    Mutant(
        "F65",
        "rust/src/graph/cycle.rs",
        "        if dependencies.row(node).contains(&node) {\n",
        "        if dependencies.row(node).contains(&UNSEEN) {\n",
        "faults/test_input.py::test_f65_a_cycle_in_the_rows_starts_nothing[crun-of-itself]",
        "the finding of self-dependencies",
    ),
    Mutant(
        "F65",
        _CREATE,
        "    DependencyGraph(mapping)\n",
        "",
        "faults/test_input.py::test_f65_a_cycle_of_any_length_is_refused_with_its_path[crun-3]",
        "the check of the graph that a creation makes",
    ),
    Mutant(
        "F66",
        _CREATE,
        "            except NoSuchContainerError:\n                found[reference] = None\n",
        "            except NoSuchContainerError:\n                continue\n",
        "integration/test_bad_input.py::test_a_dependency_that_is_not_in_the_pod",
        "the refusal of unknown dependencies",
    ),
    Mutant(
        "F66",
        "python/podcore/operations/remove.py",
        "        if names:\n",
        "        if names and not force:\n",
        "integration/test_remove.py::"
        "test_a_container_that_others_need_is_not_removed_forced_or_not",
        "the look for dependents, also of a forced removal",
    ),
    Mutant(
        "F67",
        _CREATE,
        "if name is not None and is_id(name) and view.container(name) is not None:",
        "if name is not None and is_id(name) and view.pod(name) is not None:",
        "faults/test_input.py::test_f67_the_id_of_another_is_no_name",
        "the look whether a name is somebody's id",
    ),
    Mutant(
        "F67",
        "python/podcore/references.py",
        "    if len(matches) == 1:\n",
        "    if matches:\n",
        "integration/test_create.py::test_a_reference_that_fits_several_names_them",
        "the refusal of ambiguous references",
    ),
    Mutant(
        "F68",
        "python/podcore/names.py",
        "_NAME.fullmatch(name)",
        "_NAME.match(name)",
        "integration/test_bad_input.py::test_a_malformed_name",
        "the end of a name",
    ),
    Mutant(
        "F68",
        "python/podcore/oci/interface.py",
        "if _ID.fullmatch(container_id) is None:",
        "if not container_id:",
        "oci/test_fake_runtimes.py::test_a_malformed_id_reaches_no_runtime_and_no_path",
        "the check of ids before a runtime gets them",
    ),
    Mutant(
        "F69",
        "python/podcore/lifecycle/home.py",
        "os.lstat(path)",
        "os.stat(path)",
        "faults/test_input.py::test_f69_links_in_a_containers_home_lead_nobody_out[crun-upper]",
        "the refusal of links as directories of a container",
    ),
    Mutant(
        "F69",
        "python/podcore/monitor/log_file.py",
        "        found = os.lstat(path)\n",
        "        found = os.stat(path)\n",
        "faults/test_input.py::test_f69_links_in_a_containers_home_lead_nobody_out[crun-log]",
        "the refusal of a link as log",
    ),
    Mutant(
        "F69",
        "rust/src/kernel/paths.rs",
        "        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,\n",
        "        ResolveFlags::NO_MAGICLINKS,\n",
        "bundle/test_breakouts.py::test_a_user_s_files_are_looked_up_inside[crun]",
        "looking things up as inside of the root",
    ),
    Mutant(
        "F69",
        "python/podcore/kernel/trees.py",
        "return lambda path, flags: _core.open_in_root(top, path, os.O_PATH | flags, 0)\n",
        "return lambda path, flags: os.open(path.lstrip('/'), os.O_PATH | flags, dir_fd=top)\n",
        "faults/test_input.py::test_f69_links_in_a_rootfs_lead_nobody_out[crun-absolute]",
        "the copy of a new volume's contents from inside of the root",
    ),
    Mutant(
        "F69",
        "rust/src/kernel/paths.rs",
        "ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;",
        "ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;",
        "core/test_kernel_calls.py::test_path_below_refuses_every_way_out_and_every_link",
        "the refusal of links below a directory",
    ),
    Mutant(
        "F70",
        "python/podcore/specs/documents.py",
        "    _check_depth(data, what)\n    try:\n",
        "    try:\n",
        "unit/test_specs.py::test_hostile_bundle_configurations_are_refused",
        "the limit of depth",
    ),
    Mutant(
        "F70",
        "python/podcore/specs/documents.py",
        "    if len(data) > cap:\n",
        "    if len(data) > 2 * cap:\n",
        "unit/test_specs.py::test_hostile_bundle_configurations_are_refused",
        "the limit of size",
    ),
    Mutant(
        "F70",
        "python/podcore/specs/documents.py",
        "os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY",
        "os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY",
        "unit/test_specs.py::test_a_bundle_configuration_that_is_no_file_is_refused[link-symbolic links]",
        "the refusal of a link as configuration",
    ),
    Mutant(
        "F71",
        "python/podcore/specs/container.py",
        "        if key.lower().startswith(_RESERVED):\n",
        "        if key == _RESERVED:\n",
        "pods/test_process.py::test_annotations_that_change_what_a_runtime_does_are_refused",
        "the refusal of annotations that steer a runtime",
    ),
    Mutant(
        "F71",
        "python/podcore/cli/output.py",
        '_CELL_CONTROLS = _CONTROLS | {9: "\\\\t", 10: "\\\\n"}\n',
        "_CELL_CONTROLS = _CONTROLS\n",
        "cli/test_output.py::test_a_table_and_an_error_hold_no_control_characters",
        "the escaping of line feeds in tables",
    ),
    Mutant(
        "F72",
        _FILES,
        "    if stat.S_ISLNK(found.st_mode):\n        raise InvalidArgumentError(\n",
        "    found = os.stat(path)\n"
        "    if stat.S_ISLNK(found.st_mode):\n        raise InvalidArgumentError(\n",
        "faults/test_input.py::"
        "test_f72_a_directory_that_others_have_power_over_is_refused[crun-root-link]",
        "the refusal of a link as state directory",
    ),
    Mutant(
        "F72",
        _FILES,
        "    if found.st_uid != os.geteuid():\n",
        "    if found.st_uid == -1:\n",
        "faults/test_input.py::"
        "test_f72_a_directory_that_others_have_power_over_is_refused[crun-root-theirs]",
        "the look whose a directory is",
    ),
    Mutant(
        "F72",
        _FILES,
        "    if found.st_mode & 0o077:\n",
        "    if found.st_mode & 0o007:\n",
        "faults/test_input.py::"
        "test_f72_a_directory_that_others_have_power_over_is_refused[crun-run_root-0710]",
        "the look who else may use a directory",
    ),
    Mutant(
        "F73",
        "python/podcore/signals.py",
        "        if 1 <= value <= _LAST:\n",
        "        if 0 <= value <= _LAST:\n",
        "integration/test_kill.py::test_what_is_no_signal_is_refused_before_anything_is_sent",
        "the refusal of signal 0",
    ),
    Mutant(
        "F74",
        _LOGS,
        "        if len(self._rest) > _RECORD_CAP:\n",
        "        if len(self._rest) > 8 * _RECORD_CAP:\n",
        "monitor/test_logs.py::test_memory_is_bounded_for_a_record_without_an_end",
        "the limit of a record's length",
    ),
    Mutant(
        "F74",
        _LOGS,
        '        *lines, self._rest = (self._rest + block).split(b"\\n")\n',
        "        *lines, self._rest = (self._rest + block).splitlines()\n",
        "faults/test_input.py::test_f74_whatever_a_container_prints_is_read_exactly",
        "records that end at line feeds only",
    ),
    Mutant(
        "F74",
        "python/podcore/monitor/conmon.py",
        "        if launch.log_size_max is not None:\n",
        "        if launch.log_size_max == 0:\n",
        "faults/test_input.py::test_f74_a_flood_fills_neither_the_log_nor_the_memory_of_who_reads_it",
        "the limit of the log",
    ),
    Mutant(
        "F75",
        "python/podcore/kernel/command.py",
        "env=CLEAN_ENV if env is None else env,",
        "env=env,",
        "kernel/test_command.py::test_the_environment_of_the_caller_is_not_passed_on",
        "the clean environment of programs",
    ),
    Mutant(
        "F75",
        "python/podcore/monitor/conmon.py",
        "env = {**command.CLEAN_ENV, ",
        "env = {**os.environ, ",
        "monitor/test_launch.py::test_nothing_of_the_caller_reaches_monitor_and_container[crun]",
        "the clean environment of monitors",
    ),
    Mutant(
        "F76",
        "python/podcore/kernel/command.py",
        "            pass_fds=tuple(given),\n",
        "            pass_fds=tuple(given) + tuple(\n"
        '                fd for fd in map(int, os.listdir("/proc/self/fd"))\n'
        '                if os.path.exists(f"/proc/self/fd/{fd}") and os.get_inheritable(fd)\n'
        "            ),\n",
        "faults/test_input.py::test_f76_two_hundred_inheritable_descriptors_reach_no_container",
        "the closing of what the caller left inheritable",
    ),
    Mutant(
        "F76",
        "python/podcore/specs/process.py",
        '    if values.within(path, "/proc"):\n',
        '    if values.within(path, "/proc/sys"):\n',
        "bundle/test_breakouts.py::"
        "test_a_leaked_descriptor_is_no_way_out_through_the_working_directory[crun]",
        "the refusal of a working directory in /proc",
    ),
)
