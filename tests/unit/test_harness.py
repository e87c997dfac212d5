"""The harness must notice what it is there to notice."""

import os
import subprocess
import sys

import pytest

from harness import host, leftovers
from harness.polling import eventually
from harness.rootfs import make_rootfs


def test_eventually_returns_the_first_true_value():
    values = iter([0, "", "yes", "later"])

    assert eventually(lambda: next(values), interval=0) == "yes"


def test_eventually_names_what_it_waited_for():
    with pytest.raises(AssertionError, match="the light did not come true"):
        eventually(lambda: False, timeout=0.05, interval=0.01, what="the light")


def test_a_process_that_mentions_the_site_is_left_behind(tmp_path, popen):
    base = str(tmp_path)
    process = popen([sys.executable, "-c", "input()", f"{base}/x"], stdin=subprocess.PIPE)
    eventually(lambda: process.pid in leftovers.find(base, "podcore-no-such-group").processes)

    process.communicate("\n")

    assert not leftovers.find(base, "podcore-no-such-group")


def test_a_file_that_carries_the_id_of_a_removed_object_is_left_behind(tmp_path):
    (tmp_path / "bundles" / "0abc").mkdir(parents=True)

    assert leftovers.find(str(tmp_path), "podcore-no-such-group", ["0abc"]).files == [
        f"{tmp_path}/bundles/0abc"
    ]
    assert not leftovers.find(str(tmp_path), "podcore-no-such-group", ["0def"])


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting and making cgroups need root")
def test_mounts_and_cgroups_are_found_and_cleaned_up(tmp_path, popen):
    base = str(tmp_path)
    parent = f"podcore-test-{os.getpid()}-harness"
    group = f"{host.cgroup_mounts()[0]}/{parent}"
    (tmp_path / "m").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", f"{base}/m"], check=True)
    os.mkdir(group)

    left = leftovers.find(base, parent)
    leftovers.clean_up(left, base, parent)

    assert left.mounts == [f"{base}/m"]
    assert left.cgroups == [group]
    assert not leftovers.find(base, parent)


@pytest.mark.skipif(os.geteuid() != 0, reason="making cgroups needs root")
def test_only_the_empty_groups_that_all_pods_share_are_no_leftovers(tmp_path, monkeypatch):
    parent = f"podcore-test-{os.getpid()}-shared"
    top = f"{host.cgroup_mounts()[0]}/{parent}"
    os.makedirs(f"{top}/monitors")
    leftovers.expect_none(str(tmp_path), parent)
    assert not os.path.exists(top)

    os.makedirs(f"{top}/0abc")
    monkeypatch.setattr(leftovers, "eventually", lambda ask, **_: eventually(ask, timeout=0.1))

    with pytest.raises(AssertionError, match=f"left behind:\\ncgroup {top}"):
        leftovers.expect_none(str(tmp_path), parent)
    assert not os.path.exists(top)


def test_orphans_of_the_session_are_reaped():
    script = "import os, time\nif os.fork(): os._exit(0)\nprint(os.getpid(), flush=True)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    orphan = int(done.stdout)

    eventually(lambda: not os.path.exists(f"/proc/{orphan}"), timeout=10)


def test_rootfs_runs_its_own_shell(tmp_path):
    if host.missing_for("runc"):
        pytest.skip(f"needs {host.missing_for('runc')}")
    root = make_rootfs(str(tmp_path / "root"))

    done = subprocess.run(
        ["/bin/sh", "-c", "echo $((6 * 7))"],
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.chroot(root),
    )

    assert done.stdout == "42\n"
