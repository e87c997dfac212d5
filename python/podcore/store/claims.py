"""With which run directory a database is written: the locks are there, so there may be only one."""

import json
import os
from dataclasses import dataclass

import apsw

from podcore.errors import InvalidArgumentError, PodcoreError
from podcore.store.change import Change
from podcore.store.connection import Connection
from podcore.store.rows import Configs, DamagedRowError
from podcore.store.view import View

_KEY = "run_root"


@dataclass(frozen=True, slots=True)
class Claim:
    """The run directory of an engine, as the database remembers that of the last one that wrote.

    Attributes:
        run_root: absolute, and reached without a symbolic link.
        boot_id: of this boot; one of another boot excludes nobody.
    """

    run_root: str
    boot_id: str

    def recorded(self, view: View, root: str) -> bool:
        """Returns whether the database has it already, so that nothing need be written.

        Args:
            view: of the database.
            root: its directory, for the message.

        Raises:
            InvalidArgumentError: another one was recorded in this boot, and is still there.
            DamagedRowError: what was recorded makes no sense.
        """
        text = view.meta(_KEY)
        if text is None or text == self.row[1]:
            return text is not None
        boot_id, other = _parsed(text)
        # What was moved and left a link behind is still the same.
        in_use = boot_id == self.boot_id and os.path.isdir(other)
        if in_use and os.path.realpath(other) != self.run_root:
            raise InvalidArgumentError(
                f"the state directory `{root}` is worked on with the run directory `{other}`: the "
                f"locks in `{self.run_root}` would exclude nobody\n"
                f"hint: give `{other}` (`run_root=`, `--runroot`, `PODCORE_RUNROOT`), or remove it "
                "when no container runs and nothing works with it any more"
            )
        return False

    @property
    def row(self) -> tuple[str, str]:
        """Key and value of the fact, as the database has it."""
        # Escaped: the name of a directory need not be UTF-8, and the database takes nothing else.
        return _KEY, json.dumps([self.boot_id, self.run_root])

    def record(self, change: Change, root: str) -> None:
        """Writes it unless it is there; else as ``recorded``."""
        if not self.recorded(change, root):
            change.set_meta(*self.row)

    def check(self, path: str) -> None:
        """Checks the same as ``recorded`` before the run directory is made.

        A database that can't be read is passed over: who opens it says what is wrong.

        Args:
            path: of the database, if there is one.

        Raises:
            InvalidArgumentError: as ``recorded``.
        """
        root = os.path.realpath(os.path.dirname(path))
        path = f"{root}/{os.path.basename(path)}"
        # Opening one without a journal would make a new one, and hide that it was lost.
        if not os.path.lexists(path) or not os.path.lexists(f"{path}-wal"):
            return
        try:
            connection = Connection(path)
        except PodcoreError:
            return
        try:
            self.recorded(View(connection, Configs()), root)
        except (apsw.Error, DamagedRowError):
            return
        finally:
            connection.close()


def _parsed(text: str) -> tuple[str, str]:
    try:
        boot_id, run_root = json.loads(text)
    except (ValueError, TypeError) as error:
        raise DamagedRowError(f"the run directory that was recorded is `{text}`") from error
    return str(boot_id), str(run_root)
