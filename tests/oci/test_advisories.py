"""Which published holes a runtime's version number does not rule out."""

import pytest

from podcore.oci.advisories import open_in

LEAKED_DESCRIPTOR = "CVE-2024-21626"
PROCFS = ("CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881")
DEVICES = "CVE-2026-41579"


@pytest.mark.parametrize(
    ("version", "holes"),
    [
        ("1.0.0-rc95", (LEAKED_DESCRIPTOR, *PROCFS, DEVICES)),
        ("1.1.5+ds1", (LEAKED_DESCRIPTOR, *PROCFS, DEVICES)),
        ("1.1.9", (LEAKED_DESCRIPTOR, *PROCFS, DEVICES)),
        ("1.1.11", (LEAKED_DESCRIPTOR, *PROCFS, DEVICES)),
        ("1.1.12", (*PROCFS, DEVICES)),
        ("1.1.12-0ubuntu2~22.04.1", (*PROCFS, DEVICES)),
        ("1.1.15", (*PROCFS, DEVICES)),
        ("1.2.0-rc.1", (*PROCFS, DEVICES)),
        ("1.2", (*PROCFS, DEVICES)),
        ("1.2.7", (*PROCFS, DEVICES)),
        ("1.2.8", (DEVICES,)),
        ("1.2.10", (DEVICES,)),
        ("1.3.0", (*PROCFS, DEVICES)),
        ("1.3.2+dev", (*PROCFS, DEVICES)),
        ("1.3.3", (DEVICES,)),
        ("1.3.5", (DEVICES,)),
        ("1.3.6", ()),
        ("1.4.0-rc.2", (*PROCFS, DEVICES)),
        ("1.4.0~rc2+ds1", (*PROCFS, DEVICES)),
        ("1.4.0-rc.3", (DEVICES,)),
        ("1.4.0", (DEVICES,)),
        ("1.4.2", (DEVICES,)),
        ("1.4.3", ()),
        ("1.5.0-rc.1", ()),
        ("2.0", ()),
        ("unknown", ()),
        ("", ()),
    ],
)
def test_a_version_of_runc_is_judged_by_the_branch_that_it_belongs_to(version, holes):
    assert tuple(cve for one in open_in("runc", version) for cve in one.cves) == holes


@pytest.mark.parametrize("name", ["crun", "youki"])
def test_none_are_known_of_other_runtimes(name):
    assert open_in(name, "0.1") == ()
