"""What is in a directory that others may just be removing."""

import os

from podcore.kernel import cgroupfs


def names(directory: str) -> list[str]:
    """Returns the names in a directory, sorted; none when it is gone or is no directory.

    Raises:
        OSError: it can't be read.
    """
    try:
        return sorted(os.listdir(directory))
    except NotADirectoryError:
        return []
    except OSError as error:
        if cgroupfs.is_gone(error):
            return []
        raise
