"""What a container or a pod may be asked to be, decided before anything is touched.

``check_container`` and ``check_pod`` return a spec in one form: lists as tuples, sizes as bytes,
paths absolute, signals and capabilities by their full names. Checking twice changes nothing.
"""

from podcore.specs.container import check_container
from podcore.specs.limits import check_limits
from podcore.specs.pod import check_pod
from podcore.specs.serial import (
    SPEC_VERSION,
    canonical_json,
    limits_from_json,
    limits_to_json,
    spec_from_json,
    spec_hash,
    spec_to_json,
)

__all__ = [
    "SPEC_VERSION",
    "canonical_json",
    "check_container",
    "check_limits",
    "check_pod",
    "limits_from_json",
    "limits_to_json",
    "spec_from_json",
    "spec_hash",
    "spec_to_json",
]
