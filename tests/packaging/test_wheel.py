"""The wheel that ``make wheel`` builds, in an environment that holds nothing else."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))

# The build may find nothing that it can use, on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def run(argv, **options):
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600, **options)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = str(tmp_path_factory.mktemp("wheel"))
    maturin = os.path.join(os.path.dirname(sys.executable), "maturin")
    done = run([maturin, "build", "--release", "--quiet", "--out", out], cwd=ROOT)
    assert done.returncode == 0, done.stderr
    [name] = os.listdir(out)
    return f"{out}/{name}"


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The ``bin`` directory of an environment that holds the wheel and what it requires."""
    venv = str(tmp_path_factory.mktemp("venv"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    pip = [sys.executable, "-m", "pip", f"--python={venv}", "install", "--quiet"]
    done = run([*pip, "--no-index", "--no-deps", wheel])
    assert done.returncode == 0, done.stderr
    # Requirements are taken from here, so that this test needs no network.
    [packages] = [f"{venv}/lib/{name}/site-packages" for name in os.listdir(f"{venv}/lib")]
    for requirement in importlib.metadata.requires("podcore") or []:
        distribution = importlib.metadata.distribution(re.split(r"[^\w.-]", requirement)[0])
        for file in distribution.files or []:
            if ".." not in file.parts:
                os.makedirs(f"{packages}/{file.parent}", exist_ok=True)
                shutil.copy(file.locate(), f"{packages}/{file}")
    return f"{venv}/bin"


def test_it_serves_every_python_from_3_11_on(wheel):
    assert re.fullmatch(r"podcore-[\d.]+-cp311-abi3-\w*linux\w*\.whl", os.path.basename(wheel))


def test_it_carries_types_and_licence_and_no_leftovers(wheel):
    names = zipfile.ZipFile(wheel).namelist()

    assert {"podcore/py.typed", "podcore/_core.pyi", "podcore/_core.abi3.so"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    strangers = [n for n in names if not re.match(r"podcore(-[\d.]+\.dist-info)?/", n)]
    assert [n for n in strangers if ".libs/" not in n] == []
    assert [n for n in names if n.endswith((".pyc", ".rs"))] == []
    assert sum(n.endswith(".so") and "_core" in n for n in names) == 1


def test_it_can_be_imported(installed):
    done = run([f"{installed}/python", "-I", "-c", "import podcore; print(podcore.__file__)"])

    assert done.stdout.startswith(os.path.dirname(installed)), done.stderr


def test_its_doctor_finds_a_host_that_can_run_containers(installed, site):
    done = run([f"{installed}/podcore", "doctor"], env=site.environ)

    assert done.returncode == 0, done.stdout + done.stderr


def test_it_runs_the_example_of_the_readme(installed, site):
    with open(f"{ROOT}/README.md", encoding="utf-8") as file:
        [example] = re.findall(r"```python\n(.*?)```", file.read(), re.DOTALL)
    assert '"/srv/busybox"' in example
    assert len(example.splitlines()) <= 25
    program = example.replace("/srv/busybox", site.rootfs)

    done = run([f"{installed}/python", "-I", "-W", "error", "-c", program], env=site.environ)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == ["db done", "cache done", "api done"]
    assert re.fullmatch(r"running \d+ b'0\\n'", lines[3])
    assert "api is up" in lines[4]
