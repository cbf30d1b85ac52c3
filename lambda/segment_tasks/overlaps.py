"""Runs that are to be skipped while an older run of the pipeline is still going."""

from collections.abc import Iterator, Mapping
from typing import Final

from . import clients, objects
from .aws_errors import refusals_named
from .locations import Locations, run_of
from .run_events import state_machine_arn
from .run_outputs import NothingToDo
from .times import parse, stamp

_SECOND: Final = len("2026-01-02T03:04:05")


def check(places: Locations, execution: Mapping[str, str]) -> None:
    """Look for an older run that is still going.

    A run of an earlier second is older. Of runs that start in the same second and may
    be skipped, the first one here is: it claims the second, with a write that only one
    can win. So of two that meet one runs, and they never give way to each other.

    Step Functions lists executions with some delay, as its API reference says: a run
    may miss one that started just before it, and then both run.

    Args:
        places: Where the pipeline's data lies.
        execution: The run's own execution, with `arn` and `startedAt`.

    Raises:
        NothingToDo: There is one.
        AccessDenied: The executions may not be listed.
    """
    own = _second(stamp(parse(execution["startedAt"])))
    for arn, started in _running(state_machine_arn(execution["arn"])):
        if _second(started) < own:
            raise _skipped(run_of(places, {"arn": arn, "startedAt": started}), started)
    run = run_of(places, execution)
    first = _first_of_second(places, run, own)
    if first != run:
        raise _skipped(first, f"{own}Z")


def _first_of_second(places: Locations, run: str, second: str) -> str:
    """Claim a second for a run; return the run that has it."""
    bucket, key = places.input_bucket, places.second(second)
    objects.create(bucket, key, objects.json_bytes({"run": run}), "application/json")
    claim = objects.read_json(bucket, key)
    return str(claim["run"]) if claim else run


def _skipped(run: str, started: str) -> NothingToDo:
    return NothingToDo(
        f"The run {run}, which started at {started}, is still going, and the execution "
        "input of this run says that it is skipped then (onOverlap)."
    )


def _second(instant: str) -> str:
    """Cut an instant, which is in UTC, to its second."""
    return instant[:_SECOND]


def _running(state_machine_arn: str) -> Iterator[tuple[str, str]]:
    pages = clients.stepfunctions().get_paginator("list_executions")
    with refusals_named(state_machine_arn):
        for page in pages.paginate(
            stateMachineArn=state_machine_arn, statusFilter="RUNNING"
        ):
            for each in page["executions"]:
                yield each["executionArn"], stamp(each["startDate"])
