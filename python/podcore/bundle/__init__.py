"""OCI bundles: the directory and the config.json that an OCI runtime is given."""

from podcore.bundle.process import process_for_exec
from podcore.bundle.request import BundleRequest
from podcore.bundle.writing import build, load, verify, write

__all__ = ["BundleRequest", "build", "load", "process_for_exec", "verify", "write"]
