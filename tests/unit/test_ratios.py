"""The table of ``make bench`` says what was measured."""

import json

import pytest

import ratios


def benchmark(subject, median, group="graph 1000", name="order", **extra):
    info = {"subject": subject, **extra}
    return {
        "group": group,
        "name": name,
        "stats": {"median": median, "min": median / 2},
        "extra_info": info,
    }


def cells(*benchmarks, **options):
    return [tuple(row.cells()) for row in ratios.rows(benchmarks, **options)]


def test_a_peer_is_compared_with_podcore_in_its_group():
    assert cells(
        benchmark("rustworkx", 0.020),
        benchmark("podcore", 0.001, target={"rustworkx": 14}),
        benchmark("rustworkx", 9.0, group="another"),
    ) == [("graph 1000", "rustworkx", "1 ms", "20 ms", "20.00", "≥ 14", "yes")]


def test_a_missed_target_shows():
    assert cells(
        benchmark("podcore", 0.010, target={"filelock": 40}), benchmark("filelock", 0.1)
    ) == [("graph 1000", "filelock", "10 ms", "100 ms", "10.00", "≥ 40", "**no**")]


@pytest.mark.parametrize(("podcore", "held"), [(1.2, "yes"), (1.5, "**no**")])
def test_the_floor_is_an_upper_bound(podcore, held):
    [row] = cells(benchmark("podcore", podcore, target={"floor": 1.3}, peers={"floor": 1.0}))

    assert row[4:] == (f"{podcore:.2f}", "≤ 1.3", held)


def test_a_budget_is_absolute():
    [row] = cells(benchmark("podcore", 3e-6, budget=5e-6))

    assert row == ("graph 1000", "budget", "3 µs", "5 µs", "0.60", "≤ 1", "yes")


def test_a_peer_that_did_not_run_is_named():
    [row] = cells(benchmark("podcore", 1e-9, target={"podman": 2.4}))

    assert row == ("graph 1000", "podman", "1 ns", "not run", "", "", "")


def test_the_statistic_can_be_chosen():
    [row] = cells(benchmark("podcore", 4.0, peers={"x": 2.0}), statistic="min")

    assert row[2] == "2 s"


@pytest.mark.parametrize(("strict", "code"), [([], 0), (["--strict"], 1)])
def test_only_strict_fails_on_a_missed_target(tmp_path, capsys, strict, code):
    file = tmp_path / "b.json"
    slow = benchmark("podcore", 9.0, target={"floor": 1.3}, peers={"floor": 1.0})
    file.write_text(json.dumps({"benchmarks": [slow]}))

    assert ratios.main([str(file), *strict]) == code
    assert "0 targets held, 1 missed" in capsys.readouterr().out
