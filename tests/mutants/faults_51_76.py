"""What defends against the faults F51 to F76, taken away piece by piece."""

from mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = ()
