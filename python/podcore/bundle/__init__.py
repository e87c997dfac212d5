"""OCI bundles: the directory and the config.json that an OCI runtime is given."""

from typing import TYPE_CHECKING, Any

from podcore.bundle.etc import write_etc
from podcore.bundle.process import process_for_exec
from podcore.bundle.request import BundleRequest
from podcore.bundle.writing import build, digest, load, verify, write

if TYPE_CHECKING:
    from podcore.bundle.audit import Delta, Severity, deltas, security

__all__ = [
    "BundleRequest",
    "Delta",
    "Severity",
    "build",
    "deltas",
    "digest",
    "load",
    "process_for_exec",
    "security",
    "verify",
    "write",
    "write_etc",
]


# `Any`: whatever the audit has under that name; a type checker sees the import above.
def __getattr__(name: str) -> Any:
    # What a start does not need is not loaded for one.
    if name in ("Delta", "Severity", "deltas", "security"):
        from podcore.bundle import audit

        return getattr(audit, name)
    raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
