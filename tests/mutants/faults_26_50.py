"""What defends against the faults F26 to F50, taken away piece by piece."""

from mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = ()
