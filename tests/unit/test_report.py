"""The result of a batch verb, and the exception that carries it when it is not all well."""

import json
import pickle

import pytest

import podcore
from podcore.report import Outcome, Report, ReportRow

A, B, C = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def errors():
    return {
        A: podcore.OCIRuntimeError("no such command", ("runc",), 1, "detail"),
        B: podcore.DependencyFailedError("`b` was skipped because `a` failed", A),
    }


@pytest.fixture
def report(errors):
    rows = (
        ReportRow(A, "a", Outcome.FAILED, "no such command", None, 0.1, 0.2),
        ReportRow(B, "b", Outcome.SKIPPED, "`a` failed", A),
        ReportRow(C, "c", Outcome.DONE, "", None, 0.0, 0.3),
    )
    return Report("start", "p" * 64, "web", rows, errors, 0.5)


@pytest.fixture
def failure(report):
    with pytest.raises(podcore.PartialFailureError) as caught:
        report.raise_for_errors()
    return caught.value


def test_a_report_without_errors_is_handed_back():
    report = Report("start", A, "web", ())

    assert report.ok
    assert report.raise_for_errors() is report


def test_the_message_counts_what_became_of_the_containers(failure):
    expected = "start of pod `web`: 1 done, 1 failed, 1 skipped"
    assert str(failure).startswith(expected)


def test_the_failure_has_errors_by_id_and_the_report(failure, report, errors):
    assert failure.errors == errors
    assert list(failure.errors) == [A, B]
    assert failure.report is report
    assert failure.exceptions == tuple(errors.values())


def test_it_is_an_exception_group_for_except_star(failure, errors):
    seen = []
    try:
        raise failure
    except* podcore.DependencyFailedError as group:
        seen += group.exceptions
    except* podcore.OCIRuntimeError as group:
        seen += group.exceptions

    assert seen == [errors[B], errors[A]]


def test_it_is_one_of_podcores_own_errors(failure):
    assert isinstance(failure, podcore.PodcoreError)
    assert not isinstance(failure, podcore.AlreadyExistsError)


def test_a_split_keeps_errors_and_report(failure, report, errors):
    knock_on, roots = failure.split(podcore.DependencyFailedError)

    assert isinstance(knock_on, podcore.PartialFailureError)
    assert isinstance(roots, podcore.PartialFailureError)
    assert (knock_on.errors, roots.errors) == ({B: errors[B]}, {A: errors[A]})
    assert knock_on.report is roots.report is report


def test_a_subgroup_of_nothing_is_none(failure):
    assert failure.subgroup(KeyError) is None
    assert failure.subgroup(podcore.PodcoreError).errors == failure.errors


def test_what_is_not_its_own_makes_a_plain_group(failure):
    derived = failure.derive([KeyError("x")])

    assert type(derived) is ExceptionGroup


def test_it_survives_pickling(failure):
    again = pickle.loads(pickle.dumps(failure))

    assert type(again) is podcore.PartialFailureError
    assert list(again.errors) == [A, B]
    assert again.errors[B].because == A
    assert again.report.rows == failure.report.rows
    assert str(again) == str(failure)


def test_a_row_is_found_by_full_id(report):
    assert report.row(B).because == A
    with pytest.raises(KeyError):
        report.row("a")


def test_the_dictionary_is_ready_for_json(report):
    described = json.loads(json.dumps(report.to_dict()))

    assert described["Verb"] == "start"
    assert described["Ok"] is False
    assert described["Rows"][1] == {
        "Id": B,
        "Name": "b",
        "Outcome": "skipped",
        "Reason": "`a` failed",
        "Because": A,
        "Began": None,
        "Ended": None,
    }
