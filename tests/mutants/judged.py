"""Runs pytest and writes down what came of it: ``judged.py VERDICT ARGUMENTS...``.

The file says more than the exit status does: which phase of a test failed, and with what message;
and whose containers are to be looked for if the session dies.
"""

import json
import os
import sys
from typing import Any

import pytest


class Verdict:
    """A plugin of pytest that keeps the outcome of each test in a file.

    Args:
        path: the file, JSON.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._passed = 0
        # phase of the test, message
        self._failures: list[tuple[str, str]] = []

    def pytest_sessionstart(self) -> None:
        self.write(status=None)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            message = report.longreprtext if crash is None else crash.message
            self._failures.append((report.when or "", message))
            if report.when != "setup":
                # All is known. What the test leaves is its runner's to end: with the mutant in it,
                # podcore may take long to clean up, or never come to an end of it.
                self.write(status=1)
                os._exit(1)
        elif report.when == "call" and report.passed:
            self._passed += 1

    def write(self, status: int | None) -> None:
        """Writes the file.

        Args:
            status: the exit status; None as long as pytest runs.
        """
        # `Any`: what JSON can hold.
        content: dict[str, Any] = {
            "pid": os.getpid(),
            "status": status,
            "passed": self._passed,
            "failures": self._failures,
        }
        with open(self._path, "w", encoding="utf-8") as file:
            json.dump(content, file)


if __name__ == "__main__":
    verdict = Verdict(sys.argv[1])
    exit_status = int(pytest.main(sys.argv[2:], plugins=[verdict]))
    verdict.write(exit_status)
    sys.exit(exit_status)
