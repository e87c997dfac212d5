"""Resolving the seccomp profile: what it says must be what the source says."""

import ctypes
import errno
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcore.bundle import hardening, seccomp, syscalls
from podcore.errors import InvalidArgumentError
from podcore.specs.capabilities import DEFAULT, NAMES, in_order

DEFAULT_CAPS = in_order(DEFAULT)
PROFILES = [
    path for path in (seccomp.SYSTEM_PROFILE, seccomp.BUILT_IN_PROFILE) if os.path.exists(path)
]
ARCHITECTURES = {
    "amd64": "SCMP_ARCH_X86_64",
    "arm64": "SCMP_ARCH_AARCH64",
    "s390x": "SCMP_ARCH_S390X",
    "ppc64le": "SCMP_ARCH_PPC64LE",
}
capability_sets = st.frozensets(st.sampled_from(NAMES)) | st.sampled_from(
    [frozenset(), DEFAULT, frozenset(NAMES)]
)


def slow_meaning(profile, arch, caps):
    """What each system call meets: an independent, slow reading of the source.

    Returns {system call: {(action, errno, frozenset of conditions)}}.
    """
    default_errno = profile.get("defaultErrnoRet", getattr(errno, profile["defaultErrno"]))
    meaning = {}
    for rule in profile["syscalls"]:
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        if "arches" in includes and arch not in includes["arches"]:
            continue
        if "arches" in excludes and arch in excludes["arches"]:
            continue
        if set(includes.get("caps", [])) - caps or set(excludes.get("caps", [])) & caps:
            continue
        number = rule.get("errnoRet")
        if number is None and rule.get("errno"):
            number = getattr(errno, rule["errno"])
        if (rule["action"], number) == (profile["defaultAction"], default_errno):
            continue
        conditions = frozenset(
            (arg["index"], arg["op"], arg["value"], arg.get("valueTwo", 0))
            for arg in rule.get("args") or []
        )
        for name in rule["names"]:
            meaning.setdefault(name, set()).add((rule["action"], number, conditions))
    for verdicts in meaning.values():
        # A condition says nothing where the same verdict holds without one.
        for action, number, conditions in list(verdicts):
            if conditions and (action, number, frozenset()) in verdicts:
                verdicts.discard((action, number, conditions))
    return meaning


def meaning_of(resolved):
    """The same of what was resolved, which has no conditions left but those on arguments."""
    meaning = {}
    for rule in resolved["syscalls"]:
        conditions = frozenset(
            (arg["index"], arg["op"], arg["value"], arg.get("valueTwo", 0))
            for arg in rule.get("args", [])
        )
        for name in rule["names"]:
            meaning.setdefault(name, set()).add((rule["action"], rule.get("errnoRet"), conditions))
    return meaning


@pytest.mark.parametrize("path", PROFILES)
@pytest.mark.parametrize("arch", ARCHITECTURES)
@given(caps=capability_sets)
def test_every_system_call_meets_what_the_source_says(path, arch, caps):
    profile = seccomp.load(path)
    resolved = seccomp.resolve(profile, [ARCHITECTURES[arch]], caps, (6, 1))
    expected = slow_meaning(profile, arch, caps)
    for name in syscalls.absent([ARCHITECTURES[arch]]):
        expected.pop(name, None)
    assert meaning_of(resolved) == expected


@pytest.mark.parametrize(
    ("architecture", "token"), [("SCMP_ARCH_X86_64", 0xC000003E), ("SCMP_ARCH_AARCH64", 0xC00000B7)]
)
def test_what_is_left_out_does_not_exist_on_that_architecture(architecture, token):
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        pytest.skip("libseccomp is not installed")
    resolve = library.seccomp_syscall_resolve_name_arch
    resolve.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
    names = syscalls.ABSENT[architecture]
    assert len(names) > 90
    # Negative: a pseudo number, which libseccomp has for calls of other architectures.
    assert {name for name in names if resolve(token, name.encode()) >= 0} == set()
    assert not {"read", "openat", "futex", "clone3"} & names


def test_what_a_foreign_architecture_has_is_kept():
    profile = seccomp.load(seccomp.BUILT_IN_PROFILE)
    both = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    alone = meaning_of(seccomp.resolve(profile, both[:1], DEFAULT, (6, 1)))
    together = meaning_of(seccomp.resolve(profile, both, DEFAULT, (6, 1)))
    assert "socketcall" in together
    assert "socketcall" not in alone


def test_the_built_in_profile_says_what_the_system_s_says():
    if not os.path.exists(seccomp.SYSTEM_PROFILE):
        pytest.skip("containers-common is not installed")
    ours, system = seccomp.load(seccomp.BUILT_IN_PROFILE), seccomp.load(seccomp.SYSTEM_PROFILE)
    if len(system["syscalls"]) != 35:
        pytest.skip("not the version of containers-common that ours was made from")
    for caps in (frozenset(), DEFAULT, frozenset(NAMES)):
        assert slow_meaning(ours, "amd64", caps) == slow_meaning(system, "amd64", caps)


def test_few_rules_are_left():
    profile = seccomp.load(seccomp.BUILT_IN_PROFILE)
    resolved = seccomp.resolve(profile, ["SCMP_ARCH_X86_64"], DEFAULT, (6, 1))
    plain = [rule for rule in resolved["syscalls"] if "args" not in rule]
    assert len(plain) == 2  # one for all that is allowed, one for all that is not permitted
    assert len(resolved["syscalls"]) == 10  # five personalities, three kinds of socket
    for rule in plain:
        assert len(set(rule["names"])) == len(rule["names"])


def test_a_foreign_architecture_adds_its_rules_and_takes_none_away():
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            {"names": ["a"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["x86"]}},
            {"names": ["b"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["x86"]}},
        ],
    }
    resolved = seccomp.resolve(profile, ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], DEFAULT, (6, 1))
    assert resolved["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert resolved["syscalls"] == [{"names": ["a", "b"], "action": "SCMP_ACT_ALLOW"}]


@pytest.mark.parametrize(("kernel", "there"), [((4, 7), False), ((4, 8), True), ((5, 0), True)])
def test_a_rule_may_depend_on_the_kernel(kernel, there):
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["old"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}},
        ],
    }
    resolved = seccomp.resolve(profile, ["SCMP_ARCH_X86_64"], DEFAULT, kernel)
    assert meaning_of(resolved).keys() == ({"ptrace"} if there else {"old"})


def test_a_profile_is_resolved_once_and_again_after_it_changed(tmp_path, monkeypatch):
    path = tmp_path / "profile.json"
    loads = []
    real = seccomp.load
    monkeypatch.setattr(seccomp, "load", lambda name: loads.append(name) or real(name))

    def allow(name):
        text = {
            "defaultAction": "SCMP_ACT_ERRNO",
            "syscalls": [{"names": [name], "action": "SCMP_ACT_ALLOW"}],
        }
        # Replaced as a package manager does it: by another file.
        (tmp_path / "new").write_text(json.dumps(text))
        (tmp_path / "new").rename(path)

    allow("read")
    first = seccomp.fragment(str(path), (), DEFAULT_CAPS)
    assert seccomp.fragment(str(path), (), DEFAULT_CAPS) is first
    assert len(loads) == 1
    allow("open")  # as long as before
    second = seccomp.fragment(str(path), (), DEFAULT_CAPS)
    assert json.loads(second)["syscalls"][0]["names"] == ["open"]
    assert len(loads) == 2


def test_without_the_system_s_profile_the_built_in_one_is_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(seccomp, "SYSTEM_PROFILE", str(tmp_path / "missing"))
    resolved = json.loads(seccomp.fragment(None, (), DEFAULT_CAPS))
    assert resolved["defaultErrnoRet"] == 38
    assert (
        "read" in next(r for r in resolved["syscalls"] if r["action"] == "SCMP_ACT_ALLOW")["names"]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("{}", "`defaultAction`"),
        ('{"defaultAction": "X", "syscalls": {}}', "list of rules"),
        ('{"defaultAction": "X", "syscalls": [{"action": "Y"}]}', "no `names`"),
        (
            '{"defaultAction": "X", "syscalls": [{"names": ["a"], "action": "Y", "errno": "EX"}]}',
            "no errno",
        ),
    ],
)
def test_malformed_profiles_are_refused(tmp_path, text, message):
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(InvalidArgumentError, match=message):
        seccomp.fragment(str(path), (), DEFAULT_CAPS)


def test_all_capabilities_of_the_default_profile_are_podman_s_eleven():
    assert len(DEFAULT) == 11
    assert hardening.capability_sets(DEFAULT_CAPS).keys() == {"bounding", "effective", "permitted"}
