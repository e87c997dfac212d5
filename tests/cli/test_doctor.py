"""The doctor: what it looks at, and what it says when something is missing."""

import json
import os
from types import SimpleNamespace

import pytest

from podcore import programs
from podcore.cli import doctor
from podcore.cli.doctor import ERROR, OK, WARNING, Check
from podcore.monitor.conmon import Conmon


@pytest.fixture
def bare_host(monkeypatch):
    """A host on which none of the programs is installed."""
    monkeypatch.setattr(programs, "find", lambda *_args, **_keywords: None)


@pytest.fixture
def dirs(tmp_path):
    return ["--root", str(tmp_path / "state"), "--runroot", str(tmp_path / "run")]


def test_every_part_of_the_host_is_looked_at(cli, dirs):
    checks = json.loads(cli("doctor", "--json", *dirs).out)["Checks"]

    assert [check["Name"] for check in checks] == [
        "user",
        "kernel",
        "cgroups",
        "runtime crun",
        "runtime runc",
        "monitor conmon",
        "init catatonit",
        "seccomp profile",
        "state directory",
        "run directory",
        "locks",
        "SQLite",
        "limits",
    ]
    assert {check["State"] for check in checks} <= {OK, WARNING, ERROR}


def test_what_is_missing_comes_with_the_line_that_installs_it(cli, dirs, bare_host):
    result = cli("doctor", *dirs)

    assert result.code == 1
    for package in ("crun", "runc", "conmon"):
        assert f"apt-get install {package}" in result.out
    assert "podcore can't run containers on this host" in result.out


def test_it_changes_nothing(cli, dirs, tmp_path):
    cli("doctor", *dirs)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("states", "well"),
    [
        ({"runtime crun": OK, "runtime runc": WARNING, "monitor conmon": OK}, True),
        ({"runtime crun": WARNING, "runtime runc": OK, "monitor conmon": OK}, True),
        ({"runtime crun": WARNING, "runtime runc": WARNING, "monitor conmon": OK}, False),
        ({"runtime crun": OK, "runtime runc": OK, "monitor conmon": ERROR}, False),
        ({"runtime crun": OK, "monitor conmon": OK, "user": ERROR}, False),
        ({"runtime crun": OK, "monitor conmon": OK, "state directory": ERROR}, False),
        ({"runtime crun": OK, "monitor conmon": OK, "init catatonit": WARNING}, True),
        ({"runtime crun": OK, "monitor conmon": OK, "runtime mine": ERROR}, False),
    ],
)
def test_one_runtime_and_the_monitor_are_enough_where_nothing_is_an_error(states, well):
    assert doctor.works([Check(name, state, "") for name, state in states.items()]) is well


def test_a_runtime_that_can_not_run_here_is_named_with_the_reason(cli, dirs, monkeypatch):
    from podcore.oci import discovery

    monkeypatch.setattr(programs, "find", lambda name, *_args: f"/usr/bin/{name}")
    monkeypatch.setattr(discovery, "usable", lambda path: "no luck" if "crun" in path else None)
    monkeypatch.setattr(Conmon, "find", lambda: type("C", (), {"version": "2", "path": "/c"}))
    checks = json.loads(cli("doctor", "--json", *dirs).out)["Checks"]
    (crun,) = [check for check in checks if check["Name"] == "runtime crun"]

    assert crun["State"] == WARNING
    assert crun["Detail"] == "/usr/bin/crun can't run containers here: no luck"


def test_a_runtime_with_published_holes_is_well_and_has_a_note(cli, dirs, monkeypatch):
    from podcore.oci import discovery

    versions = {"crun": "1.8.1", "runc": "1.1.5+ds1"}
    monkeypatch.setattr(programs, "find", lambda name, *_args: f"/usr/bin/{name}")
    monkeypatch.setattr(discovery, "usable", lambda _path: None)
    monkeypatch.setattr(
        discovery,
        "runtime_for",
        lambda path, _root: SimpleNamespace(name=path[-4:], version=versions[path[-4:]]),
    )
    monkeypatch.setattr(Conmon, "find", lambda: SimpleNamespace(version="2", path="/c"))
    result = cli("doctor", "--json", *dirs)
    checks = {check["Name"]: check for check in json.loads(result.out)["Checks"]}

    assert result.code == 0
    assert checks["runtime crun"]["Note"] == ""
    assert checks["runtime runc"]["State"] == OK
    assert "CVE-2024-21626 (fixed in 1.1.12); CVE-2025-31133" in checks["runtime runc"]["Note"]
    assert "may have patched it without" in checks["runtime runc"]["Note"]
    assert "note: older than the fixes of CVE-2024-21626" in cli("doctor", *dirs).out


def test_who_is_not_root_is_told_so_and_not_that_containers_can_run(cli, dirs, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    result = cli("doctor", *dirs)

    assert result.code == 1
    assert "only root can run containers" in result.out
    assert "podcore can't run containers on this host" in result.out
    assert "chown" not in result.out


def test_a_directory_that_can_not_be_made_is_named_with_its_own_option(monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_args: False)
    state = doctor._directory("state directory", "/no/such/state")
    run = doctor._directory("run directory", "/no/such/run")

    assert (state.state, state.remedy) == (ERROR, "name another with --root")
    assert (run.state, run.remedy) == (ERROR, "name another with --runroot")


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda path: path.mkdir(mode=0o755), "open to others"),
        (lambda path: path.write_text(""), "no directory"),
        (lambda path: path.symlink_to("/tmp"), "no directory"),
    ],
    ids=["mode", "file", "symlink"],
)
def test_a_directory_that_podcore_would_refuse_is_an_error(make, word, tmp_path):
    path = tmp_path / "state"
    make(path)
    if path.is_dir() and not path.is_symlink():
        os.chmod(path, 0o755)

    check = doctor._directory("state directory", str(path))

    assert check.state == ERROR
    assert word in check.detail
