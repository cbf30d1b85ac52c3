"""Runs that step aside for an older one: which of them runs."""

from datetime import UTC, datetime, timedelta

import pytest

from segment_tasks import clients, overlaps
from segment_tasks.locations import Locations, run_name
from segment_tasks.run_outputs import NothingToDo

from .conftest import ACCOUNT

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Execution:
    """An execution of the pipeline, with what its context says of it."""

    def __init__(self, name, after=0.0):
        self.arn = f"arn:aws:states:us-east-1:{ACCOUNT}:execution:pipeline:{name}"
        self.started = NOON + timedelta(seconds=after)
        text = self.started.isoformat(timespec="milliseconds")
        self.context = {"arn": self.arn, "startedAt": text.replace("+00:00", "Z")}
        self.run = run_name("films", self.arn, self.context["startedAt"])


@pytest.fixture
def skips(cloud, monkeypatch):
    """Tell for which run an execution steps aside, given which are listed so far."""

    class Listing:
        def get_paginator(self, name):
            assert name == "list_executions"
            return self

        def paginate(self, *, stateMachineArn, statusFilter):  # noqa: N803
            assert stateMachineArn.endswith(":stateMachine:pipeline")
            assert statusFilter == "RUNNING"
            # Each on a page of its own.
            for each in self.listed:
                entry = {"executionArn": each.arn, "startDate": each.started}
                yield {"executions": [entry]}

    listing = Listing()
    monkeypatch.setattr(clients, "stepfunctions", lambda: listing)

    def check(execution, listed):
        listing.listed = listed
        try:
            overlaps.check(Locations(), execution.context)
        except NothingToDo as found:
            return str(found).split()[2].rstrip(",")
        return None

    return check


def test_a_run_steps_aside_for_one_of_an_earlier_second(skips):
    older, younger = Execution("b"), Execution("a", after=1)
    listed = [younger, older]
    assert skips(younger, listed) == older.run
    assert skips(older, listed) is None


@pytest.mark.parametrize("names", ["ab", "ba"])
@pytest.mark.parametrize("seen", [0, 1, 2])
def test_of_two_in_one_second_just_one_runs_whatever_the_list_shows(skips, names, seen):
    first, second = Execution(names[0], after=0.4), Execution(names[1], after=0.2)
    both = [first, second]
    assert skips(first, both[:seen]) is None
    assert skips(second, both[:seen]) == first.run
    # Tried again, each finds the same.
    assert skips(first, both) is None
    assert skips(second, both) == first.run
