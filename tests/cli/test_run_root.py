"""The command line refuses a second run directory, and says which one to give."""

import os

import pytest

from podcore.cli.main import main


@pytest.mark.parametrize("verb", [["pod", "ps"], ["pod", "create", "db"], ["system", "check"]])
def test_another_run_directory_is_refused(tmp_path, capfd, verb):
    first = ["--root", f"{tmp_path}/state", "--runroot", f"{tmp_path}/run"]
    other = ["--root", f"{tmp_path}/state", "--runroot", f"{tmp_path}/other"]
    assert main([*first, "pod", "create", "--share", "none", "web"]) == 0
    capfd.readouterr()

    assert main([*other, *verb]) == 125

    out, err = capfd.readouterr()
    assert out == ""
    assert f"worked on with the run directory `{tmp_path}/run`" in err
    assert f"hint: give `{tmp_path}/run` (`run_root=`, `--runroot`, `PODCORE_RUNROOT`)" in err
    assert not os.path.exists(tmp_path / "other")
    assert main([*first, "pod", "exists", "web"]) == 0
