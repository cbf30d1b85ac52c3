"""Runs that are to be skipped while an older run of the pipeline is still going."""

from collections.abc import Iterator, Mapping

from . import clients
from .aws_errors import refusals_named
from .locations import Locations, run_of
from .run_events import state_machine_arn
from .run_outputs import NothingToDo
from .times import parse, stamp


def check(places: Locations, execution: Mapping[str, str]) -> None:
    """Look for an older run that is still going.

    Of two that meet, the older one runs, and of two that started in the same
    millisecond the one whose ARN comes first: so they never give way to each other.
    Step Functions lists executions with some delay, as its API reference says: of two
    that start at once, the younger one may miss the older one, and then both run.

    Args:
        places: Where the pipeline's data lies.
        execution: The run's own execution, with `arn` and `startedAt`.

    Raises:
        NothingToDo: There is one.
        AccessDenied: The executions may not be listed.
    """
    own = execution["arn"]
    running = dict(_running(state_machine_arn(own)))
    # What the list says of both, if it does, so that both compare the same.
    started = running.setdefault(own, stamp(parse(execution["startedAt"])))
    first, oldest = min((started, arn) for arn, started in running.items())
    if (first, oldest) < (started, own):
        run = run_of(places, {"arn": oldest, "startedAt": first})
        raise NothingToDo(
            f"The run {run}, which started at {first}, is still going, and the "
            "execution input of this run says that it is skipped then (onOverlap)."
        )


def _running(state_machine_arn: str) -> Iterator[tuple[str, str]]:
    pages = clients.stepfunctions().get_paginator("list_executions")
    with refusals_named(state_machine_arn):
        for page in pages.paginate(
            stateMachineArn=state_machine_arn, statusFilter="RUNNING"
        ):
            for each in page["executions"]:
                yield each["executionArn"], stamp(each["startDate"])
