"""What a pod may be asked to be."""

from dataclasses import replace

from podcore import defaults
from podcore.model import PodSpec
from podcore.names import check_name
from podcore.specs import values
from podcore.specs.limits import check_limits
from podcore.specs.namespaces import KINDS, check_hostname

NEED_A_PROCESS = ("pid", "cgroup")
"""A pid namespace ends with its first process; a cgroup namespace begins where its maker is."""


def check_pod(spec: PodSpec) -> PodSpec:
    """Returns a pod's spec in its one form.

    Raises:
        InvalidNameError: the name is malformed.
        InvalidArgumentError: anything else is not acceptable.
    """
    if spec.name is not None:
        check_name(spec.name, "pod")
    what = f"pod `{spec.name}`" if spec.name else "pod"
    wanted = values.texts(spec.share, f"{what}, `share`")
    for kind in wanted:
        if kind not in KINDS:
            raise values.refusal(
                f"{what}, `share`",
                f"{values.shown(kind)} is not a namespace that a pod can share",
                f"one of {', '.join(KINDS)}",
            )
    infra = values.flag(spec.infra, f"{what}, `infra`")
    if not infra and (held := [kind for kind in wanted if kind in NEED_A_PROCESS]):
        raise values.refusal(
            f"{what}, `share`",
            f"`{held[0]}` is a namespace that only a process can hold",
            "leave `infra=False` out, or share " + ", ".join(defaults.SHARE) + " only",
        )
    hostname = spec.hostname
    return replace(
        spec,
        labels=values.labels(spec.labels, f"{what}, `labels`"),
        share=tuple(kind for kind in KINDS if kind in wanted),
        hostname=None if hostname is None else check_hostname(hostname, f"{what}, `hostname`"),
        infra=infra,
        limits=check_limits(spec.limits, f"{what}, `limits`"),
    )
