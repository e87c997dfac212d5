"""``make bench-compare`` says which side is faster, and by how much."""

import subprocess

import pytest

import compare


def test_each_benchmark_has_a_line_in_running_order():
    base = {"benches/b.py::old": [1.0], "benches/b.py::both": [0.4, 0.2, 0.3]}
    head = {"benches/b.py::both": [0.1, 0.1, 0.9], "benches/b.py::new": [2e-6]}

    assert [tuple(line) for line in compare.lines(base, head)] == [
        ("b.py::both", "300 ms", "100 ms", "3.000"),
        ("b.py::new", "not run", "2 µs", ""),
        ("b.py::old", "1 s", "not run", ""),
    ]


def test_the_checkout_of_the_base_is_removed_also_after_a_failure(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        argv = ["git", *identity, *arguments]
        return subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    (tmp_path / "file").write_text("base\n")
    git("add", "file")
    git("commit", "-q", "-m", "base")
    monkeypatch.chdir(tmp_path)

    def fail_half_way():
        with compare.checked_out("HEAD") as tree:
            with open(f"{tree}/file", encoding="utf-8") as file:
                assert file.read() == "base\n"
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail_half_way()

    assert len(git("worktree", "list").splitlines()) == 1
