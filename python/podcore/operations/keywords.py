"""The keywords of the public calls, as the words of ``podcore.model`` that they mean."""

from collections.abc import Collection, Iterable
from dataclasses import fields
from typing import Any

from podcore.errors import InvalidArgumentError
from podcore.model import ContainerSpec, Limits

_LIMITS = tuple(field.name for field in fields(Limits))
_LIMITING = ("limits", *_LIMITS)
_CONTAINER = frozenset((*_LIMITING, *(field.name for field in fields(ContainerSpec))))


# `Any`: keywords of several types; `check_limits` and `check_container` look at each of them.
def limits_of(keywords: dict[str, Any], call: str) -> Limits:
    """Returns the limits that keywords mean: the fields of ``Limits``, or ``limits=`` instead.

    Args:
        keywords: of a public call.
        call: its name, for messages.

    Raises:
        InvalidArgumentError: both are given.
        TypeError: there is no such keyword.
    """
    _expect(keywords, _LIMITING, call)
    if "limits" not in keywords:
        return Limits(**keywords)
    others = dict(keywords)
    limits = others.pop("limits")
    if others:
        raise InvalidArgumentError(f"`limits=` and `{next(iter(others))}=` exclude each other")
    return limits if limits is not None else Limits()


def spec_of(name: str | None, keywords: dict[str, Any]) -> ContainerSpec:
    """Returns the spec that the keywords of ``Pod.create_container`` mean.

    Raises:
        InvalidArgumentError: ``limits=`` and a field of it are given.
        TypeError: there is no such keyword.
    """
    call = "create_container"
    _expect(keywords, _CONTAINER, call)
    others = dict(keywords)
    limits = {key: others.pop(key) for key in _LIMITING if key in others}
    return ContainerSpec(name=name, limits=limits_of(limits, call), **others)


def _expect(keywords: Iterable[str], known: Collection[str], call: str) -> None:
    for keyword in keywords:
        if keyword not in known:
            raise TypeError(f"{call}() got an unexpected keyword argument `{keyword}`")
