"""Looks at executions: in which state a run is, and how far its job."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from cdk_personalize_segments.cli.errors import (
    SDK_ERRORS,
    CliError,
    is_denied,
    is_not_found,
)
from cdk_personalize_segments.cli.pipelines import Pipeline

RUNNING: Final = "RUNNING"
SUCCEEDED: Final = "SUCCEEDED"

# A local AWS runs on a clock of its own, and tells its time with every answer.
LOCAL_TIME_HEADER: Final = "x-local-aws-time"

# The newest state and the job stand in the last few events.
_RECENT_EVENTS: Final = 40
_FIRST_LOOK_SECONDS: Final = 0.5
_SLOWEST_LOOK_SECONDS: Final = 10.0
_TIMES_UNREACHED: Final = 5
# How far back a run is looked for by its name.
_EXECUTIONS_SEARCHED: Final = 2000


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A run at one moment.

    Attributes:
        run: Its name.
        execution_arn: Its execution.
        status: RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
        state: The state of the state machine, or None if it is not known.
        job_name: The job's name, or None while there is none.
        job_status: The job's status, or None if it is not known.
        started: When the execution started.
        now: When it ended, or the service's time if it has not.
        output: What it returned, if it succeeded.
        error: The name of its error, if it failed.
        cause: What the error says.
    """

    run: str
    execution_arn: str
    status: str
    state: str | None
    job_name: str | None
    job_status: str | None
    started: datetime
    now: datetime
    output: Mapping[str, Any] | None
    error: str | None
    cause: str | None

    @property
    def elapsed(self) -> timedelta:
        """How long it has been running, or ran."""
        return self.now - self.started


def look(pipeline: Pipeline, execution_arn: str) -> Snapshot:
    """Look at a run.

    Args:
        pipeline: Its pipeline.
        execution_arn: Its execution.
    """
    execution = pipeline.account.step_functions.describe_execution(
        executionArn=execution_arn
    )
    running = execution["status"] == RUNNING
    events = _recent_events(pipeline, execution_arn) if running else []
    now = execution.get("stopDate") or _service_time(execution)
    job = _job(events) or {}
    name = job.get("name")
    return Snapshot(
        run=pipeline.run_of(execution),
        execution_arn=execution_arn,
        status=execution["status"],
        state=_state(events),
        job_name=name,
        job_status=(_job_status(pipeline, name) if name else None) or job.get("status"),
        started=execution["startDate"],
        now=max([now, *(each["timestamp"] for each in events)]),
        output=json.loads(execution["output"]) if execution.get("output") else None,
        error=execution.get("error"),
        cause=execution.get("cause"),
    )


def follow(
    pipeline: Pipeline,
    execution_arn: str,
    on_look: Callable[[Snapshot], None],
    slowest: float = _SLOWEST_LOOK_SECONDS,
) -> Snapshot:
    """Look at a run until it has ended, ever less often.

    Args:
        pipeline: Its pipeline.
        execution_arn: Its execution.
        on_look: Told of each look, the last one included.
        slowest: Seconds between two looks, at most.

    Returns:
        How it ended.
    """
    wait = min(_FIRST_LOOK_SECONDS, slowest)
    unreached = 0
    while True:
        try:
            snapshot = look(pipeline, execution_arn)
        except SDK_ERRORS as error:
            # A run takes an hour; one that is followed should survive a hiccup.
            unreached += 1
            if isinstance(error, ClientError) or unreached == _TIMES_UNREACHED:
                raise
        else:
            unreached = 0
            on_look(snapshot)
            if snapshot.status != RUNNING:
                return snapshot
        time.sleep(wait)
        wait = min(wait * 1.3, slowest)


def list_executions(
    pipeline: Pipeline, status: str | None = None
) -> Iterator[Mapping[str, Any]]:
    """List a pipeline's executions, the newest first.

    Args:
        pipeline: The pipeline.
        status: Only those of this status, or None for all.
    """
    request: dict[str, Any] = {"stateMachineArn": pipeline.state_machine_arn}
    if status:
        request["statusFilter"] = status
    paginator = pipeline.account.step_functions.get_paginator("list_executions")
    for page in paginator.paginate(**request):
        yield from page["executions"]


def find_execution(pipeline: Pipeline, run: str) -> str:
    """Find the execution of a run.

    Args:
        pipeline: The pipeline.
        run: The run's name, or the execution's ARN.

    Returns:
        The ARN of the execution.

    Raises:
        CliError: The pipeline has no such run, or not any more.
    """
    if run.startswith("arn:"):
        own = pipeline.state_machine_arn.replace(":stateMachine:", ":execution:")
        if not run.startswith(f"{own}:"):
            raise CliError(
                f"{run} is no execution of the pipeline {pipeline.name}; those start "
                f"with {own}:"
            )
        return run
    for searched, execution in enumerate(list_executions(pipeline)):
        if pipeline.run_of(execution) == run:
            return str(execution["executionArn"])
        if searched == _EXECUTIONS_SEARCHED:
            break
    raise CliError(
        f"The pipeline {pipeline.name} has no run {run!r}, or Step Functions keeps it "
        "no more; `personalize-segments list` shows the recent ones."
    )


def _recent_events(pipeline: Pipeline, execution_arn: str) -> list[Mapping[str, Any]]:
    """Return the newest events first; none where they may not be read."""
    try:
        history = pipeline.account.step_functions.get_execution_history(
            executionArn=execution_arn, reverseOrder=True, maxResults=_RECENT_EVENTS
        )
    except ClientError as error:
        if is_denied(error):
            return []
        raise
    return [dict(event) for event in history["events"]]


def _state(events: list[Mapping[str, Any]]) -> str | None:
    for event in events:
        details = event.get("stateEnteredEventDetails")
        if details:
            return str(details["name"])
    return None


def _job(events: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Find the job in what the last states were given."""
    for event in events:
        given = event.get("stateEnteredEventDetails", {}).get("input")
        job = json.loads(given).get("job") if given else None
        if job:
            return dict(job)
    return None


def _job_status(pipeline: Pipeline, name: str) -> str | None:
    try:
        answer = pipeline.account.personalize.describe_batch_segment_job(
            batchSegmentJobArn=pipeline.job_arn(name)
        )
    except ClientError as error:
        if is_denied(error) or is_not_found(error):
            return None
        raise
    return answer["batchSegmentJob"].get("status")


def _service_time(answer: Mapping[str, Any]) -> datetime:
    """Return the service's own time, whatever the clock here says."""
    headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
    try:
        return parsedate_to_datetime(headers.get(LOCAL_TIME_HEADER, headers["date"]))
    except (KeyError, ValueError):
        return datetime.now(UTC)
