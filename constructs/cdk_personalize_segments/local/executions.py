"""Runs executions of state machines to their end."""

import json
import time
from dataclasses import dataclass
from typing import Any, Final

from cdk_personalize_segments.local.errors import LocalAwsError
from cdk_personalize_segments.local.untyped import Client

# Ever less often: most executions end at once, in virtual time.
_FIRST_LOOK_SECONDS: Final = 0.002
_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How an execution ended.

    Attributes:
        arn: Its ARN.
        status: SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
        output: Its output, parsed, or None if it did not succeed.
        error: The name of the error, or None.
        cause: What the error says, or None.
        history: Its events, as GetExecutionHistory gives them.
    """

    arn: str
    status: str
    output: Any
    error: str | None
    cause: str | None
    history: list[dict[str, Any]]


def run_to_end(
    client: Client, state_machine_arn: str, execution_input: object, timeout: float
) -> Execution:
    """Start an execution and wait for its end.

    Args:
        client: A Step Functions client.
        state_machine_arn: The state machine.
        execution_input: What JSON can say; None is `{}`.
        timeout: Real seconds to wait at most.

    Raises:
        LocalAwsError: It cannot be started, or has not ended in time.
    """
    # Late: tests that use no fixture of ours need not wait for it.
    from botocore.exceptions import ClientError

    try:
        started = client.start_execution(
            stateMachineArn=state_machine_arn,
            input=json.dumps({} if execution_input is None else execution_input),
        )
    except ClientError as error:
        raise LocalAwsError(
            f"{state_machine_arn} cannot be started: {error}; pass the ARN of a state "
            "machine that is deployed in this local AWS"
        ) from error
    arn: str = started["executionArn"]
    give_up = time.monotonic() + timeout
    pause = _FIRST_LOOK_SECONDS
    while (end := client.describe_execution(executionArn=arn))["status"] == "RUNNING":
        if time.monotonic() > give_up:
            raise LocalAwsError(
                f"execution {arn} has not ended within {timeout:g} seconds; it goes on "
                "in the local AWS"
            )
        time.sleep(pause)
        pause = min(pause * 1.5, _LOOK_SECONDS)
    return Execution(
        arn=arn,
        status=end["status"],
        output=json.loads(end["output"]) if "output" in end else None,
        error=end.get("error"),
        cause=end.get("cause"),
        history=_history(client, arn),
    )


def _history(client: Client, execution_arn: str) -> list[dict[str, Any]]:
    pages = client.get_paginator("get_execution_history").paginate(
        executionArn=execution_arn
    )
    return [event for page in pages for event in page["events"]]
