"""Tells event buses when the status of an execution changes.

https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
"""

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cdk_personalize_segments.local.events import sources

if TYPE_CHECKING:
    from cdk_personalize_segments.local.events.rules import Rules
    from cdk_personalize_segments.local.stepfunctions.execution import Execution

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_LARGEST_PAYLOAD: Final = 248 * 1024


def status_changed(rules: "Rules", execution: "Execution") -> None:
    """Emit `Step Functions Execution Status Change`.

    Args:
        rules: Where events go.
        execution: The execution, with its new status.
    """
    rules.emit(
        sources.STATES,
        "Step Functions Execution Status Change",
        _detail(execution),
        region=execution.arn.split(":")[3],
        resources=[execution.arn],
    )


def _detail(execution: "Execution") -> dict[str, Any]:
    status, output = execution.status, execution.output
    output_fits = output is None or _escaped(output) <= _LARGEST_PAYLOAD
    left = _LARGEST_PAYLOAD - (_escaped(output) if output and output_fits else 0)
    input_fits = _escaped(execution.input) <= left
    if status == "RUNNING":
        redrivable = None
    else:
        redrivable = "NOT_REDRIVABLE" if status == "SUCCEEDED" else "REDRIVABLE"
    return {
        "executionArn": execution.arn,
        "stateMachineArn": execution.machine.arn,
        "name": execution.name,
        "status": status,
        "startDate": _milliseconds(execution.started),
        "stopDate": _milliseconds(execution.stopped),
        "input": execution.input if input_fits else None,
        "output": output if output_fits else None,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": execution.redrive_count,
        "redriveDate": _milliseconds(execution.redriven),
        "redriveStatus": redrivable or "NOT_REDRIVABLE",
        "redriveStatusReason": _reason(status, redrivable),
        "inputDetails": {"included": input_fits},
        "outputDetails": None if output is None else {"included": output_fits},
        "error": execution.error,
        "cause": execution.cause,
    }


def _reason(status: str, redrivable: str | None) -> str | None:
    if redrivable == "REDRIVABLE":
        return None
    return f"Execution is {status} and cannot be redriven"


def _escaped(text: str) -> int:
    """Tell the bytes that a text takes within JSON."""
    return len(json.dumps(text, ensure_ascii=False).encode())


def _milliseconds(instant: datetime | None) -> int | None:
    """Count milliseconds, and leave out the rest, as what the context tells does."""
    return None if instant is None else (instant - _EPOCH) // timedelta(milliseconds=1)
