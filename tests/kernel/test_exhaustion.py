"""What the host has run out of is said by name; other errors stay what they are."""

import errno
import os

import pytest

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
