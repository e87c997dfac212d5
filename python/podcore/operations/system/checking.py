"""The whole check, step by step."""

from podcore.backend import Host
from podcore.model import Finding
from podcore.operations.system import database, directories, objects, orphans
from podcore.operations.system.findings import Findings


def check(host: Host, *, repair: bool) -> list[Finding]:
    """Returns what is wrong, in a fixed order; with ``repair``, after trying to put it right.

    Args:
        host: of the engine.
        repair: take what locks it needs and put right what can be.

    Raises:
        StoreError: the database is another program's, too new, or can only be read; or it broke
            after it had been found whole.
        LockTimeoutError: it is made or rebuilt by somebody else for too long.
    """
    findings = Findings(repair=repair)
    directories.check(host, findings)
    if findings.hopeless:
        return findings.found
    if database.check(host, findings):
        objects.check(host, findings)
        orphans.check(host, findings)
        directories.check_temporary(host, findings)
    return findings.found
