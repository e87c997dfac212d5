"""``podcore system check``, ``info`` and ``version``."""

import json

import pytest

from podcore.model import Finding


def finding(repaired, hint=""):
    return Finding("process", "7", "process 7 belongs to nothing", repaired, hint)


@pytest.mark.parametrize(
    ("flags", "repaired", "code"),
    [
        ([], [], 0),
        ([], [None], 1),
        (["--repair"], [True, True], 0),
        (["--repair"], [True, False], 1),
    ],
    ids=["nothing", "found", "all put right", "some put right"],
)
def test_check_ends_with_1_while_something_is_wrong(flags, repaired, code, engine, cli):
    engine.findings = [finding(one) for one in repaired]

    result = cli("system", "check", *flags)

    assert engine.calls == [("check", "", {"repair": bool(flags)})]
    assert result.code == code
    assert len(result.lines) == len(repaired)
    assert ("--repair" in result.err) is (code == 1 and not flags)


def test_check_is_json_for_programs(engine, cli):
    engine.findings = [finding(False, "end it")]

    assert json.loads(cli("system", "check", "--repair", "--json").out) == [
        {
            "Kind": "process",
            "Object": "7",
            "Text": "process 7 belongs to nothing",
            "Repaired": False,
            "Hint": "end it",
        }
    ]


def test_version_is_the_same_everywhere(cli):
    text = cli("--version").out

    assert cli("version").out == text
    assert text == f"podcore version {json.loads(cli('version', '--json').out)[0]['Version']}\n"
