"""Which OCI runtime is taken, and what is remembered of the choice."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from podcore import programs
from podcore.errors import OCIRuntimeNotFoundError
from podcore.oci import crun, discovery

Install = Callable[..., str]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is the only one in which programs are looked for."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"relative:{directory}:")
    monkeypatch.setattr(programs, "WELL_KNOWN", ())
    monkeypatch.setattr(crun, "_UNIFIED", f"{tmp_path}/controllers")
    return directory


@pytest.fixture
def install(host: Path, tmp_path: Path) -> Install:
    """Installs a runtime that counts how often it is run."""

    def make(name: str, says: str | None = None, mode: int = 0o755) -> str:
        path = host / name
        answer = f"{name} version 1.0" if says is None else says
        path.write_text(f"#!/bin/sh\necho x >>{tmp_path}/runs\necho '{answer}'\n")
        path.chmod(mode)
        return str(path)

    return make


def runs(tmp_path: Path) -> int:
    counter = tmp_path / "runs"
    return len(counter.read_text().splitlines()) if counter.exists() else 0


def test_a_name_is_looked_up_and_a_path_taken_as_it_is(install: Install, tmp_path: Path) -> None:
    path = install("runc")

    assert discovery.resolve("runc", os.environ) == path
    assert discovery.resolve(path, {}) == path
    assert discovery.resolve(None, os.environ | {"PODCORE_RUNTIME": "runc"}) == path


def test_what_is_asked_for_wins_over_the_environment(install: Install) -> None:
    install("crun")
    path = install("runc")

    assert discovery.resolve("runc", os.environ | {"PODCORE_RUNTIME": "crun"}) == path


def test_well_known_directories_are_searched_after_path(
    install: Install, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = install("runc")
    monkeypatch.setattr(programs, "WELL_KNOWN", (str(host),))

    assert discovery.resolve("runc", {"PATH": ""}) == path
    assert discovery.resolve("runc", {}) == path


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("name", ["nosuch", "/nonexistent/runc"])
def test_an_unknown_runtime_is_named(name: str) -> None:
    with pytest.raises(OCIRuntimeNotFoundError, match=name):
        discovery.resolve(name, os.environ)


@pytest.mark.parametrize(
    ("mode", "why"), [(0o644, "not executable"), (0o775, "chmod go-w"), (0o757, "chmod go-w")]
)
def test_a_program_that_can_not_be_trusted_is_refused(
    install: Install, mode: int, why: str
) -> None:
    path = install("runc", mode=mode)

    with pytest.raises(OCIRuntimeNotFoundError, match=why):
        discovery.resolve(path, {})
    assert why in (discovery.usable(path) or "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_program_of_another_user_is_refused(install: Install) -> None:
    path = install("runc")
    os.chown(path, 12345, 0)

    with pytest.raises(OCIRuntimeNotFoundError, match="belongs to user 12345"):
        discovery.resolve(path, {})


def test_a_directory_is_no_runtime(host: Path) -> None:
    with pytest.raises(OCIRuntimeNotFoundError, match="not a regular file"):
        discovery.resolve(str(host), {})


class TestDefault:
    def test_crun_comes_first(self, install: Install, tmp_path: Path) -> None:
        install("runc")
        path = install("crun")

        assert discovery.default(f"{tmp_path}/cache", "boot") == path
        assert discovery.resolve(None, os.environ) == path

    def test_crun_is_passed_over_where_it_refuses_the_cgroups(
        self, install: Install, tmp_path: Path
    ) -> None:
        path = install("runc")
        refused = install("crun")
        controllers = tmp_path / "controllers"
        controllers.write_text("hugetlb rdma\n")

        assert discovery.default(f"{tmp_path}/cache", "boot") == path
        assert "`hugetlb`, `rdma`" in (discovery.usable(refused) or "")

        controllers.write_text("\n")
        assert discovery.default(f"{tmp_path}/cache", "boot") == refused
        assert discovery.usable(refused) is None

    def test_what_does_not_answer_is_passed_over(self, install: Install, tmp_path: Path) -> None:
        path = install("runc")
        install("crun", says="hello")

        assert discovery.default(f"{tmp_path}/cache", "boot") == path

    def test_without_any_it_says_why_for_each(self, install: Install, tmp_path: Path) -> None:
        install("crun", says="hello")

        with pytest.raises(OCIRuntimeNotFoundError) as caught:
            discovery.default(f"{tmp_path}/cache", "boot")
        assert "does not answer" in str(caught.value)
        assert "`runc` is not installed" in str(caught.value)

    def test_a_program_is_run_once_in_a_boot(self, install: Install, tmp_path: Path) -> None:
        install("crun")
        cache = f"{tmp_path}/cache"
        for _ in range(3):
            discovery.default(cache, "boot")
        assert runs(tmp_path) == 1

        discovery.default(cache, "next boot")
        assert runs(tmp_path) == 2

    def test_a_changed_program_is_run_again(self, install: Install, tmp_path: Path) -> None:
        path = install("crun")
        cache = f"{tmp_path}/cache"
        discovery.default(cache, "boot")
        os.utime(path, (1, 1))
        discovery.default(cache, "boot")

        assert runs(tmp_path) == 2

    @pytest.mark.parametrize(
        "damage",
        [
            b"",
            b"{",
            b"[]",
            b'{"boot_id": "boot", "works": 5}',
            b"\xff",
            b"x" * 100_000,
            b"[" * 9999,
        ],
    )
    def test_a_damaged_cache_is_made_anew(
        self, install: Install, tmp_path: Path, damage: bytes
    ) -> None:
        path = install("crun")
        cache = tmp_path / "cache"
        cache.write_bytes(damage)

        assert discovery.default(str(cache), "boot") == path
        assert json.loads(cache.read_bytes())["boot_id"] == "boot"

    def test_a_cache_that_can_not_be_written_is_no_obstacle(
        self, install: Install, tmp_path: Path
    ) -> None:
        path = install("crun")

        assert discovery.default(f"{tmp_path}/none/cache", "boot") == path


def test_this_hosts_crun_is_usable_unless_its_cgroups_are_mixed() -> None:
    path = programs.find("crun", os.environ.get("PATH", ""))
    if path is None:
        pytest.skip("crun is not installed")
    try:
        controllers = Path("/sys/fs/cgroup/unified/cgroup.controllers").read_text().split()
    except FileNotFoundError:
        controllers = []

    assert (discovery.usable(path) is None) == (not controllers)
