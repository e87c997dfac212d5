"""A database is written with the locks of one run directory, and remembers which."""

import os
import shutil
import threading

import pytest

from podcore._core import LockTable
from podcore.errors import InvalidArgumentError, StoreCorruptError
from podcore.store import Claim, Store, rebuild
from store.builders import new_pod

BOOT, NEXT = "this-boot", "next-boot"


@pytest.fixture
def claim(tmp_path):
    """Returns the claim of a run directory, which is made, by its name."""

    def make(name, boot=BOOT):
        path = f"{tmp_path}/{name}"
        os.makedirs(path, exist_ok=True)
        return Claim(path, boot)

    return make


@pytest.fixture
def opened(directory):
    """Opens a store as an engine of that claim does, with locks of its own."""
    stores = []

    def open_one(claim):
        store = Store.open(directory, LockTable(f"{claim.run_root}/locks"), claim)
        stores.append(store)
        return store

    yield open_one
    for store in stores:
        store.close()


def write(store, claim, name="web"):
    with (
        LockTable(f"{claim.run_root}/locks").session() as session,
        store.write(session, timeout=60) as change,
    ):
        change.add_pod(new_pod(name))


def recorded(store):
    with store.read() as view:
        return view.meta("run_root")


def names(store):
    with store.read() as view:
        return [pod.name for pod in view.pods()]


def commits(path):
    """Returns what grows with each commit: the journal is begun anew by checkpoints alone."""
    return os.stat(f"{path}-wal").st_size


def test_a_new_database_remembers_its_run_directory_from_the_beginning(opened, claim):
    first = claim("a")
    assert recorded(opened(first)) == first.row[1]
    with pytest.raises(InvalidArgumentError):
        opened(claim("b"))


def test_another_run_directory_is_refused_by_both_names_and_told_what_to_do(
    opened, claim, directory
):
    one, other = claim("a"), claim("b")
    store = opened(one)
    write(store, one)
    with pytest.raises(InvalidArgumentError) as caught:
        opened(other)
    message, hint = str(caught.value).splitlines()
    assert f"`{directory}`" in message
    assert f"`{one.run_root}`" in message
    assert f"`{other.run_root}`" in message
    assert hint.startswith(f"hint: give `{one.run_root}` (`run_root=`, `--runroot`")
    assert "remove it" in hint
    assert recorded(store) == one.row[1]


def test_the_same_run_directory_writes_nothing_more(opened, claim):
    one = claim("a")
    store = opened(one)
    write(store, one)
    before = commits(store.path)
    assert names(opened(one)) == ["web"]
    assert commits(store.path) == before


@pytest.mark.parametrize("why", ["another boot", "the first is gone", "the first is a file"])
def test_another_run_directory_is_taken_when_the_first_excludes_nobody(opened, claim, why):
    one = claim("a")
    store = opened(one)
    write(store, one)
    store.close()
    other = claim("b", NEXT if why == "another boot" else BOOT)
    if why != "another boot":
        shutil.rmtree(one.run_root)
    if why == "the first is a file":
        with open(one.run_root, "wb"):
            pass

    store = opened(other)
    before = recorded(store)
    write(store, other, "next")

    assert before == one.row[1], "who only reads leaves it as it is"
    assert recorded(store) == other.row[1]
    assert names(store) == ["web", "next"]
    with pytest.raises(InvalidArgumentError):
        opened(Claim(claim("c").run_root, other.boot_id))


def test_the_boot_is_recorded_too_so_that_the_next_one_is_refused_in_it(opened, claim):
    opened(claim("a"))
    later = claim("a", NEXT)
    store = opened(later)
    write(store, later)
    assert recorded(store) == later.row[1]
    with pytest.raises(InvalidArgumentError):
        opened(claim("b", NEXT))


def test_a_run_directory_that_was_moved_and_left_a_link_is_the_same(opened, claim, tmp_path):
    one = claim("a")
    opened(one)
    os.rename(one.run_root, tmp_path / "moved")
    os.symlink(tmp_path / "moved", one.run_root)
    moved = claim("moved")
    store = opened(moved)
    write(store, moved)
    assert recorded(store) == moved.row[1]


def test_of_two_that_found_nothing_recorded_only_the_first_writes(opened, claim):
    old = claim("old", "boot-before")
    opened(old)
    one, other = claim("a"), claim("b")
    winner, loser = opened(one), opened(other)  # both have looked by now
    write(winner, one)

    with pytest.raises(InvalidArgumentError, match=one.run_root):
        write(loser, other, "lost")

    assert names(loser) == ["web"]
    assert recorded(winner) == one.row[1]
    write(winner, one, "more")


@pytest.mark.contention
@pytest.mark.parametrize("new", [True, False], ids=["no-database", "another-boot"])
def test_of_many_first_ones_at_once_those_of_one_run_directory_win(opened, claim, directory, new):
    if not new:
        opened(claim("old", "boot-before"))
    claims = [claim(f"r{number}") for number in range(8)]
    barrier = threading.Barrier(len(claims))
    outcomes = [None] * len(claims)

    def first(number):
        mine = claims[number]
        locks = LockTable(f"{mine.run_root}/locks")
        barrier.wait(60)
        try:
            store = Store.open(directory, locks, mine)
        except InvalidArgumentError:
            outcomes[number] = "refused"
            return
        try:
            write(store, mine, f"p{number}")
            outcomes[number] = "wrote"
        except InvalidArgumentError:
            outcomes[number] = "refused"
        finally:
            store.close()

    threads = [threading.Thread(target=first, args=(number,)) for number in range(len(claims))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert sorted(filter(None, outcomes)) == ["refused"] * 7 + ["wrote"]
    winner = outcomes.index("wrote")
    store = opened(claims[winner])
    assert names(store) == [f"p{winner}"]
    assert recorded(store) == claims[winner].row[1]


def test_a_write_that_is_undone_records_nothing(opened, claim):
    opened(claim("old", "boot-before"))
    one = claim("a")
    store = opened(one)
    before = recorded(store)
    with (
        pytest.raises(ZeroDivisionError),
        LockTable(f"{one.run_root}/locks").session() as session,
        store.write(session),
    ):
        raise ZeroDivisionError
    assert recorded(store) == before
    write(store, one)
    assert recorded(store) == one.row[1]


def test_a_database_that_was_put_in_its_place_is_claimed_again(opened, claim, directory):
    """Also by who had the old one open, and had been recorded there."""
    one, other = claim("a"), claim("b")
    store = opened(one)
    write(store, one)
    locks = LockTable(f"{other.run_root}/locks")
    damaged = os.stat(store.path)
    rebuild(directory, locks, lambda change: None, (damaged.st_dev, damaged.st_ino), other)

    with pytest.raises(InvalidArgumentError, match=other.run_root):
        write(store, one)
    write(opened(other), other)


def test_names_that_are_no_utf8_are_remembered(opened, claim):
    odd = claim("r-\udcff é")
    store = opened(odd)
    write(store, odd)
    assert names(opened(odd)) == ["web"]
    with pytest.raises(InvalidArgumentError, match="é"):
        opened(claim("b"))


def test_what_a_database_of_before_says_nothing_of_is_recorded_with_the_next_write(
    directory, locks, opened, claim
):
    Store.open(directory, locks).close()
    one = claim("a")
    store = opened(one)
    assert recorded(store) is None
    write(store, one)
    assert recorded(store) == one.row[1]


@pytest.mark.parametrize("text", ["", "5", "[]", "{", '"x"'])
def test_a_record_that_makes_no_sense_is_damage(opened, claim, text):
    one = claim("a")
    store = opened(one)
    with (
        LockTable(f"{one.run_root}/locks").session() as session,
        store.write(session) as change,
    ):
        change.set_meta("run_root", text)
    with pytest.raises(StoreCorruptError, match="hint: "):
        opened(one)
