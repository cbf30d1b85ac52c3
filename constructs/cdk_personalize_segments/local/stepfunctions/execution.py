"""One execution of a state machine, from its start to its end."""

import asyncio
import concurrent.futures
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cdk_personalize_segments.local.clock import Clock, iso
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
    Interpreter,
    LambdaTask,
)
from cdk_personalize_segments.local.stepfunctions.logs import LogDelivery
from cdk_personalize_segments.local.stepfunctions.scopes import Scope, written

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
    """

    arn: str
    name: str
    role_arn: str
    definition: str
    states: Mapping[str, Any]
    logging: Mapping[str, Any]
    tracing: Mapping[str, Any]
    updated: datetime


class Execution:
    """An execution.

    Attributes:
        arn: Its ARN.
        name: Its name.
        machine: Its machine, as it was at the start.
        input: Its input, as text.
        status: RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
        started: When it started.
        stopped: When it ended, or None.
        output: Its output, as text, or None.
        error: The name of the error it ended with, or None.
        cause: What that error says, or None.
    """

    def __init__(
        self,
        *,
        arn: str,
        name: str,
        machine: Machine,
        text: str,
        clock: Clock,
        on_status: Callable[["Execution"], None],
    ) -> None:
        """Set up an execution.

        Args:
            arn: Its ARN.
            name: Its name.
            machine: What it runs.
            text: Its input, as JSON text.
            clock: What it waits on.
            on_status: Is told when it starts and when it ends.
        """
        self.arn = arn
        self.name = name
        self.machine = machine
        self.input = text
        self.status = "RUNNING"
        self.started = clock.now()
        self.stopped: datetime | None = None
        self.output: str | None = None
        self.error: str | None = None
        self.cause: str | None = None
        self._clock = clock
        self._on_status = on_status
        self._history = History(clock.now, LogDelivery(machine.logging, arn).deliver)
        self._future: concurrent.futures.Future[None] | None = None

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its events so far."""
        return list(self._history.events)

    def start(self, invoke: LambdaTask) -> None:
        """Start running.

        Args:
            invoke: Invokes functions for it.
        """
        self._on_status(self)
        self._future = self._clock.start(self._run(invoke))

    def abort(self, error: str | None, cause: str | None) -> None:
        """Stop it, if it has not ended.

        Args:
            error: The name of an error to end with, if any.
            cause: What the error says.
        """
        self._clock.start(self._abort(error, cause)).result()

    async def _abort(self, error: str | None, cause: str | None) -> None:
        if self.status != "RUNNING":
            return
        # From here on, what its states do no longer matters.
        self._end("ABORTED", error=error, cause=cause)
        if self._future is not None:
            self._future.cancel()

    async def _run(self, invoke: LambdaTask) -> None:
        branch = Branch()
        self._history.add(
            branch,
            "ExecutionStarted",
            with_input(self.input, roleArn=self.machine.role_arn),
        )
        interpreter = Interpreter(
            self._clock,
            self._history,
            self._context(),
            self.arn.split(":")[3],
            invoke,
        )
        deadline = asyncio.timeout(self.machine.states.get("TimeoutSeconds"))
        try:
            async with deadline:
                output = await interpreter.run(
                    self.machine.states, json.loads(self.input), Scope(), Branch()
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

    def _context(self) -> dict[str, Any]:
        return {
            "Execution": {
                "Id": self.arn,
                "Input": json.loads(self.input),
                "Name": self.name,
                "RedriveCount": 0,
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
        last = len(self._history.events)
        self._history.add(Branch(last), kinds[status], details)
        self._history.close()
        self.output, self.error, self.cause = output, error, cause
        self.stopped = self._clock.now()
        # Last: who sees it ended sees the rest.
        self.status = status
        self._on_status(self)
