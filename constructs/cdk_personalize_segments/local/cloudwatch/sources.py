"""Where metrics come from."""

from collections.abc import Mapping
from typing import Final

SOURCES: Final[Mapping[str, str]] = {
    "embedded": (
        "documents in the embedded metric format in log lines of functions and of "
        "PutLogEvents; what CloudWatch would drop is logged as a warning and kept in "
        "`aws.metrics.refused`"
    ),
    "AWS/Events": (
        "Invocations, FailedInvocations, InvocationsSentToDlq and "
        "InvocationsFailedToBeSentToDlq by RuleName, and EventBusName of other buses"
    ),
    "AWS/Lambda": (
        "Invocations, Errors, Throttles, which are 0, and Duration, which is real; by "
        "FunctionName, also with Resource, and of all functions; AsyncEventsDropped by "
        "FunctionName"
    ),
    "AWS/SQS": (
        "ApproximateNumberOfMessagesVisible, …NotVisible and …Delayed, "
        "ApproximateAgeOfOldestMessage, NumberOfMessagesSent, …Received and …Deleted, "
        "NumberOfEmptyReceives and SentMessageSize by QueueName"
    ),
    "AWS/Scheduler": (
        "InvocationAttemptCount, InvocationDroppedCount, TargetErrorCount, "
        "TargetErrorThrottledCount, InvocationsSentToDeadLetterCount and "
        "InvocationsFailedToBeSentToDeadLetterCount by ScheduleGroup"
    ),
    "AWS/States": (
        "ExecutionsStarted, …Succeeded, …Failed, …TimedOut, …Aborted and …Redriven and "
        "ExecutionTime by StateMachineArn; nothing is throttled"
    ),
    "AWS/Logs": "EMFParsingErrors and EMFValidationErrors by LogGroupName",
}
"""Each source, an API's namespace or what makes metrics, and what it measures."""
