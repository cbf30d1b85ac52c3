"""Batch segment jobs and their life on the clock.

There are no transitions besides these: the service can neither stop nor delete a
segment job, and a name is used up for good.
"""

import heapq
import itertools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

_log: Final = logging.getLogger(__name__)
# The spellings of real jobs; the API reference spells the first two differently.
PENDING: Final = "CREATE PENDING"
IN_PROGRESS: Final = "CREATE IN_PROGRESS"
ACTIVE: Final = "ACTIVE"
FAILED: Final = "CREATE FAILED"


@dataclass(frozen=True)
class JobTiming:
    """How long the stages of a job, or of a training, take.

    Attributes:
        pending: From the creation until it is in progress. Default: 2 minutes.
        working: From then until it ends. Default: 55 minutes, which with the pending
            time is within what real jobs were seen to take.
    """

    pending: timedelta = timedelta(minutes=2)
    working: timedelta = timedelta(minutes=55)


@dataclass
class Job:
    """A batch segment job.

    Attributes:
        name: Its name.
        arn: Its ARN.
        request: The request that created it.
        created: When it was created.
        starts: When it is in progress.
        ends: When it is done.
        failed_at: When it failed, if it did.
        failure_reason: Why.
    """

    name: str
    arn: str
    request: Mapping[str, Any]
    created: datetime
    starts: datetime
    ends: datetime
    failed_at: datetime | None = None
    failure_reason: str | None = None

    def fail(self, when: datetime, reason: str) -> None:
        """End the job without a result."""
        self.failed_at = when
        self.failure_reason = reason

    def status(self, now: datetime) -> str:
        """Return the status at a moment."""
        if self.failed_at is not None:
            return FAILED
        if now < self.starts:
            return PENDING
        return IN_PROGRESS if now < self.ends else ACTIVE

    def takes_slot(self, now: datetime) -> bool:
        """Tell whether it counts towards the five that an account may have."""
        return self.status(now) in {PENDING, IN_PROGRESS}

    def summarize(self, now: datetime) -> dict[str, Any]:
        """Return the shape BatchSegmentJobSummary."""
        status = self.status(now)
        changed = {
            PENDING: self.created,
            IN_PROGRESS: self.starts,
            ACTIVE: self.ends,
            FAILED: self.failed_at,
        }[status]
        summary = {
            "jobName": self.name,
            "batchSegmentJobArn": self.arn,
            "solutionVersionArn": self.request["solutionVersionArn"],
            "status": status,
            "creationDateTime": self.created,
            "lastUpdatedDateTime": changed,
        }
        if self.failure_reason is not None:
            summary["failureReason"] = self.failure_reason
        return summary

    def describe(self, now: datetime) -> dict[str, Any]:
        """Return the shape BatchSegmentJob."""
        described = ("filterArn", "numResults", "jobInput", "jobOutput", "roleArn")
        request = {
            name: self.request[name] for name in described if name in self.request
        }
        return {**self.summarize(now), **request}


@dataclass
class Agenda:
    """What is to happen, and when; it happens when somebody asks what is due."""

    _steps: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def add(self, when: datetime, step: Callable[[], None]) -> None:
        """Plan a step."""
        heapq.heappush(self._steps, (when, next(self._numbers), step))

    def run_due(self, now: datetime) -> None:
        """Take every step whose time has come, in order.

        A step that goes wrong is logged and keeps no other from being taken: whoever
        asks has nothing to do with it.
        """
        while self._steps and self._steps[0][0] <= now:
            _, _, step = heapq.heappop(self._steps)
            try:
                step()
            except Exception:
                _log.exception("A step of the emulated Personalize failed")
