"""``python -m mutants [F16 ...]``, in ``tests/``."""

import sys

from mutants.run import main

sys.exit(main())
