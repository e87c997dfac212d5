"""``podcore bundle check`` names what a bundle lacks."""

import json

import pytest

CONFIG = {
    "ociVersion": "1.0.2",
    "root": {"path": "rootfs"},
    "process": {"args": ["sh"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
    "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]},
}


@pytest.fixture
def bundle(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return str(tmp_path)


def test_what_a_bundle_lacks_is_listed(bundle, cli):
    result = cli("bundle", "check", bundle)

    assert result.code == 1
    assert result.lines[0].split() == ["SEVERITY", "PATH", "WHAT"]
    assert "seccomp" in result.out
    assert "no_new" in result.out or "noNewPrivileges" in result.out


def test_a_program_gets_a_row_for_each(bundle, cli):
    rows = json.loads(cli("bundle", "check", "--json", bundle).out)

    assert len(rows) > 1
    assert all(set(row) == {"Severity", "Path", "Text"} for row in rows)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": NaN}', '{"a": 1, "a": 2}'])
def test_a_config_that_can_not_be_read_is_refused(text, bundle, cli, tmp_path):
    (tmp_path / "config.json").write_text(text)

    result = cli("bundle", "check", bundle)

    assert result.code == 125
    assert result.err.startswith("Error: ")


def test_a_directory_that_is_no_bundle_is_refused(cli, tmp_path):
    assert cli("bundle", "check", str(tmp_path)).code == 125
