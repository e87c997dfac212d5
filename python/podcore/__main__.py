"""``python -m podcore`` is the command ``podcore``."""

from podcore.cli.main import run

run()
