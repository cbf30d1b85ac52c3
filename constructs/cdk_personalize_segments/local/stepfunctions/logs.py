"""Delivers the events of executions to the log group of their machine."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from cdk_personalize_segments.local import log_groups
from cdk_personalize_segments.local.stepfunctions.history import without_data

_FATAL: Final = frozenset({"ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut"})
_ERROR_ENDINGS: Final = ("Aborted", "Failed", "TimedOut")


def group_of(configuration: Mapping[str, Any]) -> str | None:
    """Give the name of the log group of a logging configuration, if it has one."""
    for destination in configuration.get("destinations") or []:
        arn = str(destination["cloudWatchLogsLogGroup"]["logGroupArn"])
        return arn.partition(":log-group:")[2].removesuffix(":*")
    return None


class LogDelivery:
    """Where the events of one execution go."""

    def __init__(self, configuration: Mapping[str, Any], execution_arn: str) -> None:
        """Read what a machine logs.

        Args:
            configuration: The machine's logging configuration.
            execution_arn: The execution.
        """
        self._level = configuration.get("level", "OFF")
        self._with_data = configuration.get("includeExecutionData", False)
        self._group = group_of(configuration)
        self._arn = execution_arn
        _, _, _, self._region, self._account_id, _, machine, _ = execution_arn.split(
            ":", 7
        )
        digest = hashlib.sha256(execution_arn.encode()).hexdigest()[:8]
        self._stream = f"states/{machine}/{digest}"

    def deliver(self, event: Mapping[str, Any]) -> None:
        """Log an event, if the level says so."""
        if self._group is None or not self._is_logged(event["type"]):
            return
        log_groups.put(
            self._account_id,
            self._region,
            self._group,
            self._stream,
            event["timestamp"],
            [self._line(event)],
        )

    def _is_logged(self, kind: str) -> bool:
        if self._level == "ERROR":
            return kind.endswith(_ERROR_ENDINGS) or kind == "FailStateEntered"
        if self._level == "FATAL":
            return kind in _FATAL
        return bool(self._level == "ALL")

    def _line(self, event: Mapping[str, Any]) -> str:
        told = event if self._with_data else without_data(event)
        details: dict[str, Any] = {}
        for name, value in told.items():
            if name.endswith("EventDetails"):
                details = value
        return json.dumps(
            {
                "id": str(event["id"]),
                "type": event["type"],
                "details": details,
                "previous_event_id": str(event["previousEventId"]),
                "event_timestamp": str(round(event["timestamp"].timestamp() * 1000)),
                "execution_arn": self._arn,
            },
            ensure_ascii=False,
        )
