"""The lines that Lambda itself writes to a function's log.

As text they have AWS's newer form, which tells how an invocation ended in REPORT alone.
In JSON `SystemLogLevel` decides which are written. What is only known of AWS's own
runtimes, as INIT_START tells it, is not written.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cdk_personalize_segments.local.clock import iso

_LEVELS: Final = ("DEBUG", "INFO", "WARN")
SUCCESS: Final = "success"


@dataclass(frozen=True, kw_only=True)
class Report:
    """How an invocation went.

    Attributes:
        status: `success`, `error` or `timeout`.
        error_type: The type of the error of a runtime that failed, or None.
        seconds: How long it took.
        init_seconds: How long its container took to start, None if it was warm.
        memory_bytes: How much memory it took at most.
    """

    status: str
    error_type: str | None
    seconds: float
    init_seconds: float | None
    memory_bytes: int


class PlatformLog:
    """Writes Lambda's lines to the log of one container."""

    def __init__(
        self,
        *,
        version: str,
        memory_megabytes: int,
        logging: Mapping[str, str],
        now: Callable[[], datetime],
        write: Callable[[str], None],
    ) -> None:
        """Begin without lines.

        Args:
            version: The version of the function.
            memory_megabytes: How much memory it may take.
            logging: The function's logging configuration.
            now: Tells the time.
            write: Writes a line.
        """
        self._version = version
        self._memory = memory_megabytes
        self._as_json = logging.get("LogFormat") == "JSON"
        level = logging.get("SystemLogLevel", "INFO")
        self._level = _LEVELS.index(level)
        self._now = now
        self._write = write

    def init_failed(self, report: Report) -> None:
        """Tell that a container could not start, and will be tried again."""
        duration = _milliseconds(report.seconds)
        self._tell(
            "WARN",
            f"INIT_REPORT Init Duration: {duration:.2f} ms\tPhase: init\t"
            + _ended(report),
            "initReport",
            {
                "initializationType": "on-demand",
                "phase": "init",
                **_outcome(report),
                "metrics": {"durationMs": duration},
            },
        )

    def start(self, request_id: str) -> None:
        """Tell that an invocation begins."""
        self._tell(
            "INFO",
            f"START RequestId: {request_id} Version: {self._version}",
            "start",
            {"requestId": request_id, "version": self._version},
        )

    def end(self, request_id: str, report: Report) -> None:
        """Tell that an invocation has ended, and how."""
        succeeded = report.status == SUCCESS
        duration = _milliseconds(report.seconds)
        told = {"requestId": request_id, **_outcome(report)}
        self._tell(
            "DEBUG" if succeeded else "WARN",
            f"END RequestId: {request_id}",
            "runtimeDone",
            {**told, "metrics": {"durationMs": duration}},
        )
        metrics: dict[str, Any] = {
            "durationMs": duration,
            # Since August 2025 with the start of a container.
            "billedDurationMs": math.ceil(
                (report.seconds + (report.init_seconds or 0)) * 1000
            ),
            "memorySizeMB": self._memory,
            "maxMemoryUsedMB": math.ceil(report.memory_bytes / 1024 / 1024),
        }
        text = (
            f"REPORT RequestId: {request_id}\tDuration: {duration:.2f} ms\t"
            f"Billed Duration: {metrics['billedDurationMs']} ms\t"
            f"Memory Size: {self._memory} MB\t"
            f"Max Memory Used: {metrics['maxMemoryUsedMB']} MB\t"
        )
        if report.init_seconds is not None:
            metrics["initDurationMs"] = _milliseconds(report.init_seconds)
            text += f"Init Duration: {metrics['initDurationMs']:.2f} ms\t"
        if not succeeded:
            text += _ended(report)
        self._tell(
            "INFO" if succeeded else "WARN",
            text,
            "report",
            {**told, "metrics": metrics},
        )

    def _tell(self, level: str, text: str, kind: str, record: dict[str, Any]) -> None:
        if not self._as_json:
            self._write(text)
        elif _LEVELS.index(level) >= self._level:
            told = {"time": iso(self._now()), "type": f"platform.{kind}"}
            self._write(json.dumps({**told, "record": record}))


def _outcome(report: Report) -> dict[str, str]:
    outcome = {"status": report.status}
    if report.error_type:
        outcome["errorType"] = report.error_type
    return outcome


def _ended(report: Report) -> str:
    kind = f"\tError Type: {report.error_type}" if report.error_type else ""
    return f"Status: {report.status}{kind}"


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
