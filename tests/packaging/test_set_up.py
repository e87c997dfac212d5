"""``scripts/set-up`` on a checkout of nothing but fakes that note how they are called."""

import os
import shutil
import subprocess

import pytest

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")

FAKE_PYTHON = '#!/bin/sh\necho "python $*" >> calls\n'
FAKE_MATURIN = """#!/bin/sh
echo "maturin $*" >> calls
[ ! -e broken ] || exit 1
echo new > python/podcore/_core.abi3.so
"""


@pytest.fixture
def checkout(tmp_path):
    for directory in ("scripts", "rust/src", "python/podcore", ".venv/bin"):
        (tmp_path / directory).mkdir(parents=True)
    shutil.copy(f"{ROOT}/scripts/set-up", tmp_path / "scripts")
    shutil.copy(f"{ROOT}/pyproject.toml", tmp_path)
    (tmp_path / "Cargo.lock").touch()
    (tmp_path / "Cargo.toml").write_text('rust-version = "1.0"\n')
    (tmp_path / "rust/src/lib.rs").write_text("// one\n")
    programs = {"python": FAKE_PYTHON, "maturin": FAKE_MATURIN}
    programs |= {"cargo": "#!/bin/sh\n", "rustc": "#!/bin/sh\necho rustc 1.99.0\n"}
    for name, text in programs.items():
        path = tmp_path / ".venv/bin" / name
        path.write_text(text)
        path.chmod(0o755)
    return tmp_path


def set_up(checkout, *parts, code=0):
    """Runs the script and returns (what it called, what it said)."""
    (checkout / "calls").write_text("")
    environ = os.environ | {"PATH": f"{checkout}/.venv/bin:{os.environ['PATH']}"}
    argv = [f"{checkout}/scripts/set-up", *parts]
    done = subprocess.run(
        argv, env=environ, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    return (checkout / "calls").read_text().splitlines(), done.stderr


def test_the_second_run_does_nothing(checkout):
    calls, said = set_up(checkout, "venv=build,test", "extension")
    assert [call.split()[0] for call in calls] == ["python", "python", "python", "maturin"]
    assert "building the extension" in said

    assert set_up(checkout, "venv=build,test", "extension") == ([], "")


def test_only_the_missing_group_is_installed(checkout):
    set_up(checkout, "venv=build")

    calls, _ = set_up(checkout, "venv=build,test")

    assert [call for call in calls if "--group" in call] == [
        "python -m pip install --quiet --disable-pip-version-check --group=test"
    ]


def test_changed_rust_sources_are_rebuilt_and_touched_ones_are_not(checkout):
    source = checkout / "rust/src/lib.rs"
    set_up(checkout, "venv=build", "extension")
    os.utime(source, (1, 1))
    assert set_up(checkout, "extension") == ([], "")

    source.write_text("// two\n")

    assert set_up(checkout, "extension")[0] == ["maturin develop --release"]


def test_a_failed_build_keeps_the_old_library_and_is_tried_again(checkout):
    library = checkout / "python/podcore/_core.abi3.so"
    library.write_text("old")
    (checkout / "broken").touch()
    _, said = set_up(checkout, "extension", code=1)
    assert "could not be built" in said
    assert library.read_text() == "old"

    (checkout / "broken").unlink()
    set_up(checkout, "extension")

    assert library.read_text() == "new\n"


def test_a_library_of_another_name_does_not_stay_beside_the_new_one(checkout):
    (checkout / "python/podcore/_core.cpython-311-x86_64-linux-gnu.so").touch()

    set_up(checkout, "extension")

    assert [path.name for path in checkout.glob("python/podcore/*.so")] == ["_core.abi3.so"]


def test_old_rust_is_refused_with_the_remedy(checkout):
    (checkout / "Cargo.toml").write_text('rust-version = "2.0"\n')

    _, said = set_up(checkout, "extension", code=1)

    assert said == (
        "Error: Rust 1.99.0 is too old, 2.0 or newer is needed\nhint: rustup update stable\n"
    )


def test_an_unknown_part_is_refused(checkout):
    _, said = set_up(checkout, "everything", code=1)

    assert said.startswith("Error: unknown part `everything`")
