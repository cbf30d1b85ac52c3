"""What services measure of what they do: executions, functions, deliveries.

Sources: https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html,
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html,
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html and
https://docs.aws.amazon.com/scheduler/latest/UserGuide/monitoring-cloudwatch.html.

They leave open, and local AWS takes it so: Step Functions puts nothing where nothing
happened, child executions of a Distributed Map count for the ARN of their own machine,
and Lambda puts Errors and Throttles of 0 with each invocation that has none.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from cdk_personalize_segments.local.cloudwatch.metrics import Metric

if TYPE_CHECKING:
    from cdk_personalize_segments.local.cloudwatch.metrics import Metrics
    from cdk_personalize_segments.local.stepfunctions.execution import Execution

_STATES: Final = "AWS/States"
_ENDED: Final = {
    "ABORTED": "ExecutionsAborted",
    "FAILED": "ExecutionsFailed",
    "SUCCEEDED": "ExecutionsSucceeded",
    "TIMED_OUT": "ExecutionsTimedOut",
}


def execution_changed(metrics: "Metrics", execution: "Execution") -> None:
    """Count an execution that has another status.

    Args:
        metrics: The account's metrics.
        execution: The execution.
    """
    region = execution.arn.split(":")[3]
    dimensions = {"StateMachineArn": execution.machine.arn}

    def put(name: str, value: float, unit: str) -> None:
        metrics.put(Metric.of(region, _STATES, name, dimensions), value, unit)

    if execution.status in _ENDED:
        put(_ENDED[execution.status], 1, "Count")
        if execution.stopped is not None:
            seconds = (execution.stopped - execution.started).total_seconds()
            put("ExecutionTime", seconds * 1000, "Milliseconds")
    elif execution.status == "RUNNING":
        redriven = execution.redrive_count > 0
        put("ExecutionsRedriven" if redriven else "ExecutionsStarted", 1, "Count")


def function_invoked(
    metrics: "Metrics", invoked_arn: str, *, failed: bool, seconds: float
) -> None:
    """Measure an invocation: of the function, of what was named of it, and of all.

    Args:
        metrics: The account's metrics.
        invoked_arn: The ARN that it was invoked by.
        failed: Whether it failed.
        seconds: How long it took.
    """
    _, _, _, region, _, _, name, *qualifier = invoked_arn.split(":")
    resource = ":".join([name, *qualifier])
    measured = (
        ("Invocations", 1.0, "Count"),
        ("Errors", float(failed), "Count"),
        ("Throttles", 0.0, "Count"),
        ("Duration", round(seconds * 1000, 2), "Milliseconds"),
    )
    sets: Iterable[Mapping[str, str]] = (
        {},
        {"FunctionName": name},
        {"FunctionName": name, "Resource": resource},
    )
    for dimensions in sets:
        for metric, value, unit in measured:
            metrics.put(
                Metric.of(region, "AWS/Lambda", metric, dimensions), value, unit
            )


def event_dropped(metrics: "Metrics", invoked_arn: str) -> None:
    """Count an asynchronous invocation that is given up.

    Args:
        metrics: The account's metrics.
        invoked_arn: The ARN that the function was invoked by.
    """
    _, _, _, region, _, _, name, *_ = invoked_arn.split(":")
    metric = Metric.of(
        region, "AWS/Lambda", "AsyncEventsDropped", {"FunctionName": name}
    )
    metrics.put(metric, 1, "Count")


_OF_SENDER: Final = {
    "events.amazonaws.com": {
        "delivered": ("Invocations",),
        "lost": ("Invocations", "FailedInvocations"),
        "kept": ("InvocationsSentToDlq",),
        "not kept": ("InvocationsFailedToBeSentToDlq",),
    },
    "scheduler.amazonaws.com": {
        "tried": ("InvocationAttemptCount",),
        "failed": ("TargetErrorCount",),
        "throttled": ("TargetErrorCount", "TargetErrorThrottledCount"),
        "lost": ("InvocationDroppedCount",),
        "kept": ("InvocationsSentToDeadLetterCount",),
        "not kept": ("InvocationsFailedToBeSentToDeadLetterCount",),
    },
}


def delivery_went(metrics: "Metrics", service: str, source_arn: str, what: str) -> None:
    """Count what EventBridge or its Scheduler did for a rule or schedule group.

    Args:
        metrics: The account's metrics.
        service: Who delivers; others than these two count nothing.
        source_arn: The rule or the schedule group.
        what: `tried`, `throttled`, `failed`, `delivered`, `lost`, and of what was lost
            `kept` or `not kept` in a dead-letter queue.
    """
    if service not in _OF_SENDER:
        return
    _, _, _, region, _, resource = source_arn.split(":", 5)
    kind, *bus, name = resource.split("/")
    dimensions = {"RuleName" if kind == "rule" else "ScheduleGroup": name}
    if bus:
        dimensions["EventBusName"] = bus[0]
    namespace = "AWS/Events" if kind == "rule" else "AWS/Scheduler"
    for metric in _OF_SENDER[service].get(what, ()):
        metrics.put(Metric.of(region, namespace, metric, dimensions), 1, "Count")
