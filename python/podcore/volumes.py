"""The named volumes of an engine."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podcore.engine import Engine
    from podcore.model import Volume


class Volumes:
    """Named directories that outlive the containers that mount them; ``Engine.volumes``.

    Safe to share between threads.
    """

    __slots__ = ("_engine",)

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return f"<Volumes of {self._engine!r}>"

    def create(self, name: str, labels: Mapping[str, str] | None = None) -> "Volume":
        """Makes a volume.

        Args:
            name: unique in the engine.
            labels: for users and filters.

        Raises:
            InvalidArgumentError: the name or a label is not acceptable.
            VolumeExistsError: the name is taken.
        """
        from podcore.operations import volumes

        return volumes.create(self._engine.host, name, labels)

    def list(self) -> "list[Volume]":
        """Returns all volumes in order of creation."""
        from podcore.operations import volumes

        return volumes.every(self._engine.host)

    def get(self, name: str) -> "Volume":
        """Returns a volume.

        Raises:
            NoSuchVolumeError: there is none of that name.
        """
        from podcore.operations import volumes

        return volumes.get(self._engine.host, name)

    def remove(self, name: str) -> None:
        """Removes a volume with all that is in it.

        Raises:
            NoSuchVolumeError: there is none of that name.
            VolumeInUseError: containers mount it; nothing was touched.
        """
        from podcore.operations import volumes

        volumes.remove(self._engine.host, name)

    def prune(self) -> tuple[str, ...]:
        """Removes all volumes that no container mounts, and returns their names."""
        from podcore.operations import volumes

        return tuple(volumes.prune(self._engine.host))
