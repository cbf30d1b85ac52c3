"""One execution of a state machine, from its start to its end."""

import asyncio
import concurrent.futures
import json
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cdk_personalize_segments.local.clock import Clock, Deadline, iso
from cdk_personalize_segments.local.stepfunctions.errors import (
    RUNTIME,
    TIMEOUT,
    StateError,
)
from cdk_personalize_segments.local.stepfunctions.history import (
    LONGEST,
    Branch,
    History,
    HistoryFullError,
    with_input,
    with_output,
)
from cdk_personalize_segments.local.stepfunctions.interpreter import (
    LONGEST_OPEN,
    Interpreter,
    Surroundings,
)
from cdk_personalize_segments.local.stepfunctions.logs import LogDelivery
from cdk_personalize_segments.local.stepfunctions.progress import Progress, Scope
from cdk_personalize_segments.local.stepfunctions.scopes import written

REDRIVABLE_FOR: Final = timedelta(days=14)
"""How long after its end an execution can be redriven."""
_OPEN: Final = ("PENDING_REDRIVE", "RUNNING")
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A state machine as it was when an execution started.

    Attributes:
        arn: Its ARN.
        name: Its name.
        role_arn: Its role.
        definition: The text of its definition.
        states: The same, parsed.
        logging: Its logging configuration.
        tracing: Its tracing configuration.
        updated: When it became so.
        version: The ARN of the version that was asked for, or None.
        label: The label of the Map state whose child executions it has, or None.
    """

    arn: str
    name: str
    role_arn: str
    definition: str
    states: Mapping[str, Any]
    logging: Mapping[str, Any]
    tracing: Mapping[str, Any]
    updated: datetime
    version: str | None = None
    label: str | None = None


class Execution:
    """An execution.

    Attributes:
        arn: Its ARN.
        name: Its name.
        machine: Its machine, as it was at the start.
        input: Its input, as text.
        map_run_arn: The Map Run that started it, or None.
        status: RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED or PENDING_REDRIVE.
        started: When it started.
        stopped: When it ended, or None.
        output: Its output, as text, or None.
        error: The name of the error it ended with, or None.
        cause: What that error says, or None.
        redrive_count: How often it was redriven.
        redriven: When it was last redriven, or None.
    """

    def __init__(
        self,
        *,
        arn: str,
        name: str,
        machine: Machine,
        text: str,
        clock: Clock,
        start_number: int,
        on_status: Callable[["Execution"], None],
        map_run_arn: str | None = None,
    ) -> None:
        """Set up an execution.

        Args:
            arn: Its ARN.
            name: Its name.
            machine: What it runs.
            text: Its input, as JSON text.
            clock: What it waits on.
            start_number: How often an execution of this ARN has been started, so that
                no two have the same task tokens.
            on_status: Is told when it starts and when it ends.
            map_run_arn: The Map Run that starts it, or None.
        """
        self.arn = arn
        self.name = name
        self.machine = machine
        self.input = text
        self.map_run_arn = map_run_arn
        self.status = "RUNNING"
        self.started = clock.now()
        self.stopped: datetime | None = None
        self.output: str | None = None
        self.error: str | None = None
        self.cause: str | None = None
        self.redrive_count = 0
        self.redriven: datetime | None = None
        self._clock = clock
        self._start_number = start_number
        self._on_status = on_status
        self._history = History(clock.now, LogDelivery(machine.logging, arn).deliver)
        self._future: concurrent.futures.Future[None] | None = None
        self._ended = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._progress = Progress(machine.states["StartAt"], json.loads(text), Scope())
        self._surroundings: Surroundings
        self._limit: Deadline

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its events so far."""
        return list(self._history.events)

    @property
    def not_redrivable(self) -> str | None:
        """Why it cannot be redriven, in the words of DescribeExecution, or None.

        https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
        """
        now = self._clock.now()
        if self.status in ("RUNNING", "SUCCEEDED", "PENDING_REDRIVE"):
            return f"Execution is {self.status} and cannot be redriven"
        if self._history.length >= LONGEST - 1:
            return "Execution history event limit exceeded"
        if now - self.started >= LONGEST_OPEN:
            return "Execution has exceeded the max execution time"
        if self.stopped is not None and now - self.stopped > REDRIVABLE_FOR:
            return "Execution redrivable period exceeded"
        return None

    def start(self, surroundings: Surroundings) -> None:
        """Start running.

        Args:
            surroundings: Performs its tasks and Distributed Maps.
        """
        self._surroundings = surroundings
        self._on_status(self)
        self._limit_time()
        self._future = self._clock.start(self._begin())

    def redrive(self) -> None:
        """Go on from the state that failed or was stopped, which must be possible.

        Whoever calls has checked `not_redrivable`, on the clock.
        """
        self.status = "RUNNING"
        self.stopped = self.error = self.cause = None
        self.redrive_count += 1
        self.redriven = self._clock.now()
        self._ended.clear()
        self._on_status(self)
        self._limit_time()
        self._future = self._clock.start(self._go_on())

    def _limit_time(self) -> None:
        """Have it time out after a year, which nobody waits for.

        That is the longest that an execution may run, as in
        https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html.
        """
        self._limit = self._clock.at(
            self.started + LONGEST_OPEN, lambda: self._stop("TIMED_OUT")
        )

    async def _go_on(self) -> None:
        # What was stopped may still be stopping.
        await self._idle.wait()
        self._history.reopen()
        branch = Branch(self._history.length)
        details = {"redriveCount": self.redrive_count}
        self._history.add(branch, "ExecutionRedriven", details)
        await self._run(branch)

    async def end(self) -> None:
        """Wait for its end, on the clock."""
        await self._ended.wait()

    def abort(self, error: str | None, cause: str | None) -> None:
        """Stop it, if it has not ended; on the clock.

        Args:
            error: The name of an error to end with, if any.
            cause: What the error says.
        """
        self._stop("ABORTED", error=error, cause=cause)

    def _stop(
        self, status: str, *, error: str | None = None, cause: str | None = None
    ) -> None:
        if self.status not in _OPEN:
            return
        # From here on, what its states do no longer matters.
        self._end(status, error=error, cause=cause)
        if self._future is not None:
            self._future.cancel()

    async def _begin(self) -> None:
        details = with_input(self.input, roleArn=self.machine.role_arn)
        self._history.add(Branch(), "ExecutionStarted", details)
        await self._clock.set_up()
        await self._run(Branch())

    async def _run(self, branch: Branch) -> None:
        self._idle.clear()
        try:
            await self._run_to_end(branch)
        finally:
            self._idle.set()

    async def _run_to_end(self, branch: Branch) -> None:
        interpreter = Interpreter(
            self._clock,
            self._history,
            self._context(),
            self.arn.split(":")[3],
            self._surroundings,
            self._chance(),
        )
        deadline = asyncio.timeout(self.machine.states.get("TimeoutSeconds"))
        try:
            async with deadline:
                output = await interpreter.run(
                    self.machine.states, self._progress, branch
                )
            self._end("SUCCEEDED", output=written(output))
        except StateError as error:
            self._end("FAILED", error=error.error or None, cause=error.cause)
        except HistoryFullError:
            self._end(
                "FAILED",
                error=RUNTIME,
                cause="The execution reached the maximum number of history events "
                f"({LONGEST}).",
            )
        except Exception as error:
            if isinstance(error, TimeoutError) and deadline.expired():
                self._end("TIMED_OUT")
                return
            _log.exception("execution %s broke local AWS", self.arn)
            self._end(
                "FAILED", error=RUNTIME, cause=f"local AWS is at fault: {error!r}"
            )

    def _chance(self) -> random.Random:
        """Give what is the same whenever a run is repeated, and new for each run."""
        seed = f"{self.arn} {self._start_number}.{self.redrive_count}"
        return random.Random(seed)  # noqa: S311

    def _context(self) -> dict[str, Any]:
        redriven = {}
        if self.redriven is not None:
            redriven = {"RedriveTime": iso(self.redriven)}
        return {
            "Execution": {
                "Id": self.arn,
                "Input": json.loads(self.input),
                "Name": self.name,
                "RedriveCount": self.redrive_count,
                **redriven,
                "RoleArn": self.machine.role_arn,
                "StartTime": iso(self.started),
            },
            "StateMachine": {"Id": self.machine.arn, "Name": self.machine.name},
        }

    def _end(
        self,
        status: str,
        *,
        output: str | None = None,
        error: str | None = None,
        cause: str | None = None,
    ) -> None:
        # It may be stopped in the instant in which its last state ends.
        if self.status not in _OPEN:
            return
        kinds = {
            "ABORTED": "ExecutionAborted",
            "FAILED": "ExecutionFailed",
            "SUCCEEDED": "ExecutionSucceeded",
            "TIMED_OUT": "ExecutionTimedOut",
        }
        details: dict[str, Any] = {}
        if status == "TIMED_OUT":
            details = {"error": TIMEOUT}
        elif output is not None:
            details = with_output(output)
        else:
            details = StateError(error or "", cause).details
        last = self._history.length
        self._history.add(Branch(last), kinds[status], details)
        self._history.close()
        self.output, self.error, self.cause = output, error, cause
        self.stopped = self._clock.now()
        self._limit.cancel()
        # Last: who sees it ended sees the rest.
        self.status = status
        self._ended.set()
        self._on_status(self)
