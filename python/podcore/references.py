"""From what a user types to the one object that is meant."""

from collections.abc import Sequence
from typing import Literal

from podcore.errors import AmbiguousReferenceError, NoSuchContainerError, NoSuchPodError
from podcore.names import check_name, is_id_prefix, short

_LISTED_BY = {"pod": "podcore pod ps", "container": "podcore ps --all"}


def resolve(
    reference: object,
    candidates: Sequence[tuple[str, str]],
    what: Literal["pod", "container"],
    where: str = "",
) -> str:
    """Returns the id of the candidate that a reference means.

    An exact name wins over an exact id, and that over the beginning of an id (podman's order).
    Unlike libpod's SQLite lookup, no character is a wildcard.

    Args:
        reference: a name, an id, or the beginning of an id that no other candidate shares.
        candidates: (id, name), in order of creation.
        what: what is looked for.
        where: where, for the message, such as "pod `web`"; "" for the whole engine.

    Raises:
        InvalidNameError: it can't be a reference at all.
        NoSuchPodError, NoSuchContainerError: nothing answers to it.
        AmbiguousReferenceError: more than one does; ``.matches`` has them.
    """
    text = check_name(reference, what)
    matches = [known for known, name in candidates if name == text]
    if not matches and is_id_prefix(text):
        matches = [known for known, _ in candidates if known == text]
        if not matches:
            matches = [known for known, _ in candidates if known.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    place = f" in {where}" if where else ""
    if matches:
        shown = ", ".join(f"`{short(match)}`" for match in matches[:5])
        more = f" and {len(matches) - 5} more" if len(matches) > 5 else ""
        remedy = "give more digits of the id"
        if any(name == text for _, name in candidates):
            # Names are unique but for those of containers in different pods.
            remedy = f"name its pod too, as in `POD/{text}`, or give its id"
        raise AmbiguousReferenceError(
            f"`{text}` means more than one {what}{place}: {shown}{more}\nhint: {remedy}", matches
        )
    missing = NoSuchPodError if what == "pod" else NoSuchContainerError
    raise missing(f"no {what} `{text}`{place}\nhint: `{_LISTED_BY[what]}` lists them")
