"""Named volumes: directories that outlive the containers that mount them."""

import os
import time
from collections.abc import Mapping

from podcore.backend import Host
from podcore.errors import NoSuchVolumeError, VolumeInUseError
from podcore.kernel.files import make_directory, remove_tree
from podcore.lifecycle import ledger
from podcore.model import Volume
from podcore.names import check_name
from podcore.places import Places
from podcore.records import VolumeRecord
from podcore.specs.values import labels as check_labels
from podcore.store import View


def create(host: Host, name: str, labels: Mapping[str, str] | None = None) -> Volume:
    """Makes a volume.

    Raises:
        InvalidNameError, InvalidArgumentError: nothing was touched.
        VolumeExistsError: the name is taken.
    """
    checked = check_name(name, "volume")
    kept = check_labels(labels or {}, f"volume `{checked}`, `labels`")
    with (
        host.session(f"create volume {checked}") as session,
        host.store.write(session, adds=True, durable=True) as change,
    ):
        record = change.add_volume(VolumeRecord(checked, 0, time.time(), kept))
        make_directories(host.places, checked)
        ledger.write_volume(host.places, record, ledger.name_store(change))
    return _described(host.places, record)


def make_directories(places: Places, name: str) -> None:
    """Makes the directories of a volume; they may be there."""
    make_directory(places.volumes)
    make_directory(os.path.dirname(places.volume(name)))
    make_directory(places.volume(name), 0o755)


def every(host: Host) -> list[Volume]:
    """Returns all volumes in order of creation."""
    with host.store.read() as view:
        return [_described(host.places, record) for record in view.volumes()]


def get(host: Host, name: str) -> Volume:
    """Returns a volume by its name.

    Raises:
        NoSuchVolumeError: there is none.
    """
    with host.store.read() as view:
        return _described(host.places, _found(view, check_name(name, "volume")))


def users(view: View, name: str) -> list[str]:
    """Returns the ids of the containers that mount a volume, in order of creation."""
    return [
        record.id
        for record in view.containers()
        if any(mount.type == "volume" and mount.source == name for mount in record.spec.mounts)
    ]


def remove(host: Host, name: str) -> None:
    """Removes a volume that no container mounts, with all that is in it.

    Raises:
        NoSuchVolumeError: there is none.
        VolumeInUseError: containers mount it, whatever their state; nothing was changed.
    """
    checked = check_name(name, "volume")
    with (
        host.session(f"remove volume {checked}") as session,
        host.store.write(session, durable=True) as change,
    ):
        record = _found(change, checked)
        if holders := users(change, checked):
            message = (
                f"volume `{checked}` is mounted by {len(holders)} container(s)\n"
                "hint: remove those first"
            )
            raise VolumeInUseError(message, holders)
        change.delete_volume(checked)
        directory = os.path.dirname(host.places.volume(checked))
        # Out of the way of one that is made with this name as soon as the row is gone.
        aside = f"{host.places.volumes}/.removed-{record.number}"
        if os.path.isdir(directory):
            os.rename(directory, aside)
    # Its row is gone: a crash here leaves a directory that `system check` finds.
    remove_tree(aside)


def prune(host: Host) -> list[str]:
    """Removes all volumes that no container mounts, and returns their names."""
    with host.store.read() as view:
        unused = [record.name for record in view.volumes() if not users(view, record.name)]
    removed = []
    for name in unused:
        try:
            remove(host, name)
        except (NoSuchVolumeError, VolumeInUseError):
            continue  # somebody else was faster, which is no failure of this call
        removed.append(name)
    return removed


def _found(view: View, name: str) -> VolumeRecord:
    record = view.volume(name)
    if record is None:
        message = f"no volume `{name}`\nhint: `podcore volume ls` lists them"
        raise NoSuchVolumeError(message)
    return record


def _described(places: Places, record: VolumeRecord) -> Volume:
    return Volume(record.name, places.volume(record.name), record.created, dict(record.labels))
