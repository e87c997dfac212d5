"""Commands that are run in a container on a terminal of their own."""

import pytest

from podcore import CommandError, ExecTimeoutError

# crun 1.8.1, which copies between the two terminals itself, sometimes loses all that a command
# shows which ends at once.
pytestmark = pytest.mark.integration


@pytest.fixture
def container(site):
    with site.engine() as engine:
        pod = engine.create_pod("web")
        made = pod.create_container(
            "shell", rootfs=site.rootfs, command=["sleep", "1000"], stop_timeout=0
        )
        pod.start()
        yield made


def lines(shown):
    # How many carriage returns come before a newline is the runtime's affair.
    return shown.replace(b"\r", b"").splitlines()


def test_all_that_it_shows_is_its_output(container):
    result = container.exec(["sh", "-c", "tty; echo bad >&2; exit 7"], terminal=True, timeout=60)
    assert result.exit_code == 7
    terminal, bad = lines(result.stdout)
    assert terminal.startswith(b"/dev/pts/")
    assert bad == b"bad"
    assert result.stderr == b""


def test_what_is_typed_is_read_and_ends(container):
    result = container.exec(["cat"], terminal=True, stdin=b"hello\n", timeout=60)
    assert result.exit_code == 0
    # Once by the terminal, which echoes, and once by cat.
    assert lines(result.stdout) == [b"hello", b"hello"]


def test_much_of_it_is_all_there(container):
    command = "head -c 1000000 /dev/zero | tr '\\0' a"
    result = container.exec(["sh", "-c", command], terminal=True, timeout=60)
    assert result.stdout == b"a" * 1_000_000


def test_a_command_whose_time_is_up_leaves_what_it_showed(container):
    with pytest.raises(ExecTimeoutError) as caught:
        # Long enough to show something on a loaded machine, and over long before the guard.
        container.exec(["sh", "-c", "echo early; sleep 1000"], terminal=True, timeout=5)
    assert b"early" in caught.value.stdout


def test_a_time_that_is_up_at_once_is_a_timeout_too(container):
    with pytest.raises(ExecTimeoutError):
        container.exec(["sleep", "1000"], terminal=True, timeout=0)


def test_what_it_leaves_behind_does_not_keep_the_caller(container):
    command = "trap '' HUP; sleep 1000 & echo started"
    result = container.exec(["sh", "-c", command], terminal=True, timeout=60)
    assert b"started" in result.stdout


def test_a_command_that_is_not_there_is_typed(container):
    with pytest.raises(CommandError) as caught:
        container.exec(["nope"], terminal=True, timeout=60)
    assert caught.value.exit_code == 127
