"""Device nodes of the host."""

import os


def take_back_null() -> None:
    """Makes /dev/null root's again.

    crun (seen with 1.8.1) changes the owner of what a container in a user namespace gets as its
    stdio to that container's root, the host's /dev/null included; an owner could make it useless
    for everybody (chmod 000). To be called between an OCI create and the start of the command.

    Raises:
        OSError: it has another owner and that can't be changed.
    """
    status = os.stat(os.devnull)
    if status.st_uid != 0 or status.st_gid != 0:
        os.chown(os.devnull, 0, 0)
