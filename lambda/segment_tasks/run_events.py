"""The events of runs on the account's event bus: their names, and who they are of."""

import os
from datetime import timedelta
from typing import Any, Final

from . import times

SOURCE: Final = "cdk-personalize-segments"
SUCCEEDED: Final = "Batch Segment Run Succeeded"
FAILED: Final = "Batch Segment Run Failed"
QUEUED_TOO_LONG: Final = "Batch Segment Run Queued Too Long"
SCHEMA_VERSION: Final = 1
# The variable of the function that creates jobs, where it is to tell of queueing.
TELL_OF_QUEUEING: Final = "TELL_OF_QUEUEING"
# A status of this library's events, which no execution has: one rule can take these
# events, and those of executions that ended.
QUEUED: Final = "QUEUED"


def common(run: str, execution_arn: str, status: str) -> dict[str, Any]:
    """Return what every event tells: which run it is, of which pipeline."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "pipeline": os.environ["RUN_PREFIX"],
        "run": run,
        "executionArn": execution_arn,
        "stateMachineArn": state_machine_arn(execution_arn),
        "status": status,
    }


def state_machine_arn(execution_arn: str) -> str:
    """Return the ARN of the state machine of an execution."""
    place, _, names = execution_arn.partition(":execution:")
    return f"{place}:stateMachine:{names.partition(':')[0]}"


def queued_too_long(
    run: str,
    execution_arn: str,
    *,
    since: str,
    now: str,
    queue_timeout: int,
    attempts: int,
    reason: str,
) -> dict[str, Any]:
    """Return the detail of the event of a run that waits for a job slot."""
    fails_at = times.parse(since) + timedelta(seconds=queue_timeout)
    return {
        **common(run, execution_arn, QUEUED),
        "waitingSince": since,
        "waitedSeconds": int(times.seconds_since(since, now)),
        "queueTimeoutSeconds": queue_timeout,
        "failsAt": times.stamp(fails_at),
        "attempts": attempts,
        "reason": reason,
    }
