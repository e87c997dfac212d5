"""What defends against the faults F1 to F25, taken away piece by piece."""

from mutants.mutant import Mutant

_CONMON = "python/podcore/monitor/conmon.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "F17",
        _CONMON,
        "if done.returncode != 0 or known is None:\n",
        'if known is None:\n            return "0"\n        if done.returncode != 0:\n',
        "monitor/test_fake_conmon.py::TestFinding::test_another_program_has_no_version",
        "the look at what the program calls itself",
    ),
)
