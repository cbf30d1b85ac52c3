"""The task `states:startExecution`, with and without waiting for the end.

https://docs.aws.amazon.com/step-functions/latest/dg/connect-stepfunctions.html
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from moto.core.exceptions import AWSError

from cdk_personalize_segments.local.stepfunctions.access import Access
from cdk_personalize_segments.local.stepfunctions.descriptions import (
    for_parent,
    in_milliseconds,
)
from cdk_personalize_segments.local.stepfunctions.errors import TASK_FAILED, StateError
from cdk_personalize_segments.local.stepfunctions.execution import Execution
from cdk_personalize_segments.local.stepfunctions.integrations import SYNC, SYNC_2
from cdk_personalize_segments.local.stepfunctions.interpreter import TaskCall
from cdk_personalize_segments.local.stepfunctions.scopes import written
from cdk_personalize_segments.local.untyped import Json

MANAGED_RULE: Final = "StepFunctionsGetEventsForStepFunctionsExecutionRule"
"""The rule by which Step Functions learns of the end of what `.sync` started."""
MANAGED_RULE_ACTIONS: Final = (
    "events:DescribeRule",
    "events:PutRule",
    "events:PutTargets",
)
"""What a role needs on that rule."""

Start = Callable[[str, str | None, str], Execution]
"""Starts an execution: of which machine, with which name and input."""


class StartExecution:
    """Starts executions for the executions of one role."""

    def __init__(self, start: Start, access: Access) -> None:
        """Prepare to start.

        Args:
            start: Starts an execution.
            access: What the role may do.
        """
        self._start = start
        self._access = access

    async def __call__(self, call: TaskCall) -> Json:
        """Start an execution, and wait for its end if the resource says so.

        Args:
            call: What the Task state asks for.

        Raises:
            StateError: It cannot be started, or it failed.
        """
        child = self._started(call)
        answer = {
            "ExecutionArn": child.arn,
            "SdkHttpMetadata": {"HttpStatusCode": 200},
            "SdkResponseMetadata": {"RequestId": call.request_id},
            "StartDate": in_milliseconds(child.started),
        }
        if not call.resource.endswith((SYNC, SYNC_2)):
            return answer
        call.submitted(answer)
        return await self._end_of(child, call)

    def _started(self, call: TaskCall) -> Execution:
        arn = str(call.arguments["StateMachineArn"])
        self._check("states:StartExecution", arn, call)
        given = call.arguments.get("Input", {})
        text = given if isinstance(given, str) else written(given)
        try:
            return self._start(arn, call.arguments.get("Name"), text)
        except AWSError as error:
            raise _of_service(error.TYPE or "", error.message, call) from None

    async def _end_of(self, child: Execution, call: TaskCall) -> Json:
        try:
            await child.end()
        except asyncio.CancelledError:
            if self._access.may("states:StopExecution", child.arn):
                child.abort(None, None)
            raise
        self._check("states:DescribeExecution", child.arn, call)
        told = for_parent(child)
        if call.resource.endswith(SYNC_2):
            told = {**told, **_parsed(told)}
        if child.status != "SUCCEEDED":
            raise StateError(TASK_FAILED, written(told))
        return told

    def _check(self, action: str, arn: str, call: TaskCall) -> None:
        self._access.check(
            action, arn, lambda why: _of_service("AccessDeniedException", why, call)
        )


def _parsed(told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: json.loads(told[name]) for name in ("Input", "Output") if name in told
    }


def _of_service(code: str, message: str, call: TaskCall) -> StateError:
    # Those that the API names have a name of their own.
    denied = code == "AccessDeniedException"
    name = "AWSStepFunctionsException" if denied else f"{code}Exception"
    return StateError(
        f"StepFunctions.{name}",
        f"{message} (Service: AWSStepFunctions; Status Code: 400; Error Code: {code}; "
        f"Request ID: {call.request_id}; Proxy: null)",
    )
