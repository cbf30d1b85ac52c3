"""Map Runs: the child executions of a Distributed Map state.

https://docs.aws.amazon.com/step-functions/latest/dg/concepts-examine-map-run.html
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cdk_personalize_segments.local.clock import Clock
from cdk_personalize_segments.local.stepfunctions.errors import (
    TOO_MANY_FAILURES,
    StateError,
)
from cdk_personalize_segments.local.stepfunctions.execution import Execution
from cdk_personalize_segments.local.stepfunctions.ids import new_uuid

MOST_AT_ONCE: Final = 10_000
"""Child executions that can run at once."""


@dataclass
class Limits:
    """What a Map Run keeps to, which UpdateMapRun can change while it runs.

    Attributes:
        concurrency: Child executions at once; 0 for as many as possible.
        failures: Items that may fail, or None if that is not said.
        percentage: Percentage of the items that may fail, or None.
    """

    concurrency: int
    failures: int | None
    percentage: float | None

    def allow(self, failed: int, total: int) -> bool:
        """Tell whether so many failed items are tolerated.

        Args:
            failed: Items that failed.
            total: All items.
        """
        if self.failures is None and self.percentage is None:
            return not failed
        return (self.failures is None or failed <= self.failures) and (
            self.percentage is None or failed * 100 <= self.percentage * total
        )


@dataclass
class Child:
    """What one child execution works on.

    Attributes:
        text: Its input, as JSON text.
        items: How many items that are.
        execution: The execution, once it was started.
    """

    text: str
    items: int
    execution: Execution | None = None

    @property
    def status(self) -> str:
        """The status of the execution, or PENDING."""
        return self.execution.status if self.execution else "PENDING"


class MapRun:
    """A Map Run; whatever changes it happens on the clock.

    Attributes:
        arn: Its ARN.
        parent: The execution that it belongs to.
        label: The label of its Map state.
        limits: What it keeps to.
        status: RUNNING, SUCCEEDED, FAILED or ABORTED.
        children: Its child executions, in the order of the items, once they are read.
        started: When it started.
        stopped: When it ended, or None.
        redrive_count: How often it was redriven.
        redriven: When it was last redriven, or None.
        exported: Whether its results were written to S3.
    """

    def __init__(
        self,
        *,
        arn: str,
        parent: Execution,
        label: str,
        limits: Limits,
        clock: Clock,
        start: Callable[["MapRun", str, str], Execution],
    ) -> None:
        """Set up a Map Run.

        Args:
            arn: Its ARN.
            parent: The execution that it belongs to.
            label: The label of its Map state.
            limits: What it keeps to.
            clock: What it waits on.
            start: Starts a child execution with a name and an input.
        """
        self.arn = arn
        self.parent = parent
        self.label = label
        self.limits = limits
        self.status = "RUNNING"
        self.children: list[Child] | None = None
        self.started = clock.now()
        self.stopped: datetime | None = None
        self.redrive_count = 0
        self.redriven: datetime | None = None
        self.exported = False
        self._clock = clock
        # Child executions have the same names whenever the Map Run is run.
        self._names = random.Random(arn)  # noqa: S311
        self._start = start
        self._changed = asyncio.Event()
        self._waiting: deque[Child] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._failed = 0

    @property
    def id(self) -> str:
        """The last part of its ARN."""
        return self.arn.rpartition(":")[2]

    def redrive(self) -> None:
        """Have it run again, without what has succeeded."""
        self.status = "RUNNING"
        self.stopped = None
        self.redrive_count += 1
        self.redriven = self._clock.now()
        for child in self.children or []:
            if child.execution is not None and not child.execution.not_redrivable:
                child.execution.status = "PENDING_REDRIVE"

    def end(self, status: str) -> None:
        """End it.

        Args:
            status: How.
        """
        self.status = status
        self.stopped = self._clock.now()

    def changed(self) -> None:
        """Look at the limits anew."""
        self._changed.set()

    async def work(self, children: list[Child]) -> None:
        """Run what has not succeeded yet, until all have ended or too many failed.

        Args:
            children: The child executions.

        Raises:
            StateError: Too many failed; those that ran are stopped.
        """
        self._waiting = deque(
            child
            for child in children
            if child.status in ("PENDING", "PENDING_REDRIVE")
        )
        total = sum(child.items for child in children)
        self._failed = sum(
            child.items
            for child in children
            if child.status in ("ABORTED", "FAILED", "TIMED_OUT")
        )
        try:
            while True:
                if not self.limits.allow(self._failed, total):
                    raise StateError(
                        TOO_MANY_FAILURES,
                        "The specified tolerated failure threshold was exceeded",
                    )
                if not self._waiting and not self._running:
                    return
                self._start_more()
                self._changed.clear()
                await self._changed.wait()
        finally:
            self._stop()

    def _start_more(self) -> None:
        most = min(self.limits.concurrency or MOST_AT_ONCE, MOST_AT_ONCE)
        while self._waiting and len(self._running) < most:
            child = self._waiting.popleft()
            if child.execution is None:
                child.execution = self._start(self, new_uuid(self._names), child.text)
            else:
                child.execution.redrive()
            self._running.add(asyncio.ensure_future(self._follow(child)))

    async def _follow(self, child: Child) -> None:
        if child.execution is not None:
            await child.execution.end()
        if child.status != "SUCCEEDED":
            self._failed += child.items
        self._running.discard(_this_task())
        self._changed.set()

    def _stop(self) -> None:
        for task in self._running:
            task.cancel()
        self._running.clear()
        for child in self.children or []:
            if child.execution is not None and child.status == "RUNNING":
                child.execution.abort(None, None)

    def description(self) -> dict[str, Any]:
        """Tell of it as DescribeMapRun does."""
        told = {
            **self.summary(),
            "status": self.status,
            "maxConcurrency": self.limits.concurrency,
            "toleratedFailureCount": self.limits.failures or 0,
            "toleratedFailurePercentage": float(self.limits.percentage or 0),
            "itemCounts": self._counts(lambda child: child.items),
            "executionCounts": self._counts(lambda _: 1),
            "redriveCount": self.redrive_count,
            "redriveDate": self.redriven,
        }
        del told["stateMachineArn"]
        return {name: value for name, value in told.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """Tell of it as ListMapRuns does."""
        told = {
            "mapRunArn": self.arn,
            "executionArn": self.parent.arn,
            "stateMachineArn": f"{self.parent.machine.arn}/{self.label}",
            "startDate": self.started,
            "stopDate": self.stopped,
        }
        return {name: value for name, value in told.items() if value is not None}

    def _counts(self, weight: Callable[[Child], int]) -> dict[str, int]:
        counts = dict.fromkeys(_COUNTED.values(), 0)
        not_redrivable = 0
        children = list(self.children or [])
        for child in children:
            counts[_COUNTED[child.status]] += weight(child)
            if (
                child.execution is not None
                and child.status in ("ABORTED", "FAILED", "TIMED_OUT")
                and child.execution.not_redrivable
            ):
                not_redrivable += weight(child)
        total = sum(weight(child) for child in children)
        return {
            **counts,
            "failuresNotRedrivable": not_redrivable,
            "resultsWritten": total - counts["pending"] if self.exported else 0,
            "total": total,
        }


_COUNTED: Final = {
    "ABORTED": "aborted",
    "FAILED": "failed",
    "PENDING": "pending",
    "PENDING_REDRIVE": "pendingRedrive",
    "RUNNING": "running",
    "SUCCEEDED": "succeeded",
    "TIMED_OUT": "timedOut",
}


def _this_task() -> "asyncio.Task[None]":
    task: asyncio.Task[None] | None = asyncio.current_task()
    if task is None:
        raise RuntimeError("a Map Run follows its child executions from tasks only")
    return task
