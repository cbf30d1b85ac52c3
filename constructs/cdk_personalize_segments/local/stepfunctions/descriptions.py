"""How executions are told of: by the API, to parents and in the files of results."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from cdk_personalize_segments.local.clock import iso
from cdk_personalize_segments.local.stepfunctions.execution import Execution


def summary(execution: Execution) -> dict[str, Any]:
    """Tell of an execution as ListExecutions does.

    Args:
        execution: The execution.
    """
    told = {
        "executionArn": execution.arn,
        "stateMachineArn": execution.machine.arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": execution.started,
        "stopDate": execution.stopped,
        "mapRunArn": execution.map_run_arn,
        "stateMachineVersionArn": execution.machine.version,
        "redriveCount": execution.redrive_count,
        "redriveDate": execution.redriven,
    }
    return {name: value for name, value in told.items() if value is not None}


def description(execution: Execution) -> dict[str, Any]:
    """Tell of an execution as DescribeExecution does.

    Args:
        execution: The execution.
    """
    told = {
        **summary(execution),
        "input": execution.input,
        "inputDetails": {"included": True},
        "error": execution.error,
        "cause": execution.cause,
        **_redrivability(execution),
    }
    if execution.output is not None:
        told["output"] = execution.output
        told["outputDetails"] = {"included": True}
    return {name: value for name, value in told.items() if value is not None}


def _redrivability(execution: Execution) -> dict[str, str]:
    reason = execution.not_redrivable
    if reason is not None:
        return {"redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": reason}
    if execution.map_run_arn is not None:
        return {"redriveStatus": "REDRIVABLE_BY_MAP_RUN"}
    return {"redriveStatus": "REDRIVABLE"}


def for_parent(execution: Execution) -> dict[str, Any]:
    """Tell of an execution as a task that started it is told.

    Args:
        execution: The execution.
    """
    return _capitalised(description(execution), in_milliseconds)


def for_results(execution: Execution) -> dict[str, Any]:
    """Tell of a child execution as the results of a Map Run do.

    As in https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html.

    Args:
        execution: The execution.
    """
    told = description(execution)
    told.pop("mapRunArn", None)
    return _capitalised(told, iso)


def in_milliseconds(instant: datetime) -> int:
    """Write an instant as the results of tasks have it.

    Args:
        instant: An aware datetime.
    """
    return round(instant.timestamp() * 1000)


def _capitalised(
    told: dict[str, Any], written: Callable[[datetime], str | int]
) -> dict[str, Any]:
    """Give names a capital, and instants as something writes them."""
    return {
        name[0].upper() + name[1:]: _capitalised(value, written)
        if isinstance(value, dict)
        else written(value)
        if isinstance(value, datetime)
        else value
        for name, value in sorted(told.items())
    }
