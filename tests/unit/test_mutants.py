"""The mutants fit the sources and the table of faults, and running one tells what became of it."""

import re
import subprocess
import sys
from itertools import pairwise

import pytest

from mutants import faults_01_25, faults_26_50, faults_51_76
from mutants.mutant import MisplacedError, Mutant
from mutants.run import CHECKOUT, Fate
from mutants.tables import MUTANTS

TABLES = (
    (range(1, 26), faults_01_25.MUTANTS),
    (range(26, 51), faults_26_50.MUTANTS),
    (range(51, 77), faults_51_76.MUTANTS),
)
# No test of it is possible here: docs/reliability.md says why.
UNTRIED = {47}

each_mutant = pytest.mark.parametrize(
    "mutant", MUTANTS, ids=[f"{mutant.fault}-{mutant.lost}" for mutant in MUTANTS]
)


def read(path: str) -> str:
    with open(f"{CHECKOUT}/{path}", encoding="utf-8") as file:
        return file.read()


@pytest.fixture(scope="module")
def rows() -> dict[str, str]:
    """The cell with the tests of each fault."""
    return dict(
        re.findall(r"^\| (F\d+) \|[^|]*\| (.*?) \|", read("docs/reliability.md"), re.MULTILINE)
    )


@pytest.mark.parametrize(("numbers", "table"), TABLES, ids=["F1-F25", "F26-F50", "F51-F76"])
def test_each_fault_has_a_mutant(numbers: range, table: tuple[Mutant, ...]) -> None:
    assert {mutant.number for mutant in table} == set(numbers) - UNTRIED


def test_they_stand_in_the_order_of_their_faults() -> None:
    assert all(one.number <= other.number for one, other in pairwise(MUTANTS))


@each_mutant
def test_what_it_replaces_is_there_exactly_once(mutant: Mutant) -> None:
    text = read(mutant.file)

    assert mutant.applied(text) != text


@each_mutant
def test_its_test_is_in_the_row_of_its_fault(mutant: Mutant, rows: dict[str, str]) -> None:
    path, *_, name = mutant.test.split("[")[0].split("::")

    assert f"`{path}::{name}`" in rows[mutant.fault]
    assert re.search(rf"^ *(async )?def {name}\(", read(f"tests/{path}"), re.MULTILINE)


def test_what_is_there_twice_or_not_at_all_is_refused() -> None:
    mutant = Mutant("F1", "file", "old", "new", "test", "it")

    for text in ("old old", ""):
        with pytest.raises(MisplacedError, match="not once"):
            mutant.applied(text)


def can_mount() -> bool:
    probe = ["unshare", "--mount", "--propagation=private", "true"]
    try:
        return subprocess.run(probe, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


needs_mounts = pytest.mark.skipif(not can_mount(), reason="needs a mount namespace of its own")


def mutants(*arguments: str, tables: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the program: in this process it would adopt, and end, this session's own orphans.

    Args:
        arguments: its command line.
        tables: statements that change ``run.MUTANTS``.
    """
    program = f"""
import sys
from mutants import run
from mutants.mutant import Mutant
{tables}
sys.exit(run.main())
"""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=f"{CHECKOUT}/tests",
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )


@needs_mounts
def test_a_mutant_is_killed_by_its_test() -> None:
    done = mutants("F17", tables="run.MUTANTS = [m for m in run.MUTANTS if m.fault == 'F17'][:1]")

    assert re.fullmatch(r"F17 +killed .*\n1 mutants: 1 killed, .*\n", done.stdout), done
    assert done.returncode == 0


SURVIVORS = """
file, test = "python/podcore/units.py", "unit/test_units.py::test_sizes"
with open(f"{run.CHECKOUT}/{file}", encoding="utf-8") as source:
    line = source.readline()
run.MUTANTS = [
    Mutant("F1", file, line, line + "# as it was", test, "nothing"),
    Mutant("F2", file, line, line + "raise RuntimeError", test, "everything"),
    Mutant("F3", file, "not in there", "", test, "what is not there"),
    Mutant("F4", file, line, line, "unit/test_units.py::no_such_test", "a test"),
]
"""


@needs_mounts
def test_one_that_survives_and_one_that_breaks_the_test_are_failures() -> None:
    done = mutants(tables=SURVIVORS)

    fates = re.findall(r"^F\d +(\w+) ", done.stdout, re.MULTILINE)
    assert fates == [Fate.SURVIVED.value, *[Fate.BROKEN.value] * 3], done
    assert done.returncode == 1


ORPHAN = """
import os, subprocess
run._adopt_orphans()
argv = ["sh", "-c", "setsid sleep 1000 >/dev/null & echo $!"]
orphan = int(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout)
run._end_what_is_left(0)
try:
    os.kill(orphan, 0)
except ProcessLookupError:
    sys.exit(7)
"""


def test_what_a_test_leaves_is_ended() -> None:
    assert mutants(tables=ORPHAN).returncode == 7


def test_a_fault_that_has_none_is_refused() -> None:
    done = mutants("F47")

    assert done.returncode == 2
    assert "no mutant for F47" in done.stderr
