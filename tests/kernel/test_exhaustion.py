"""What the host has run out of is said by name; other errors stay what they are."""

import errno
import os

import pytest

from podcore.errors import ResourceExhaustedError
from podcore.kernel import exhaustion


@pytest.mark.parametrize("number", [28, 122, 24, 23, 12, 11])
def test_running_out_of_something_is_typed_with_a_remedy(number: int) -> None:
    error = OSError(number, os.strerror(number))
    typed = exhaustion.typed(error, "write `x`")
    assert typed is not None
    assert typed.errno == number
    assert str(typed).startswith("could not write `x`: ")
    assert "\nhint: " in str(typed)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EPERM, None])
def test_other_errors_are_left_alone(number: int | None) -> None:
    assert exhaustion.typed(OSError(number, "x"), "write `x`") is None


def test_a_block_of_code_gives_running_out_its_type_and_lets_the_rest_pass() -> None:
    with (
        pytest.raises(ResourceExhaustedError, match="work on `x`"),
        exhaustion.naming_exhaustion("work on `x`"),
    ):
        raise OSError(errno.ENOSPC, "full")
    with pytest.raises(FileNotFoundError), exhaustion.naming_exhaustion("work on `x`"):
        raise FileNotFoundError(errno.ENOENT, "gone")
