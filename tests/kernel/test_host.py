"""Facts of this boot."""

import re

from podcore.kernel import host


def test_the_id_of_a_boot_is_a_uuid_and_stays() -> None:
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", host.boot_id())
    assert host.boot_id() == host.boot_id()
