"""OCI bundles: the directory and the config.json that an OCI runtime is given."""

from podcore.bundle.audit import Delta, Severity, deltas, security
from podcore.bundle.etc import write_etc
from podcore.bundle.process import process_for_exec
from podcore.bundle.request import BundleRequest
from podcore.bundle.writing import build, load, verify, write

__all__ = [
    "BundleRequest",
    "Delta",
    "Severity",
    "build",
    "deltas",
    "load",
    "process_for_exec",
    "security",
    "verify",
    "write",
    "write_etc",
]
