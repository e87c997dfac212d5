"""All mutants, in the order of their faults."""

from mutants import faults_01_25, faults_26_50, faults_51_76
from mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *faults_01_25.MUTANTS,
    *faults_26_50.MUTANTS,
    *faults_51_76.MUTANTS,
)
