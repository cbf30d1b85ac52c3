"""Runs the states of an execution, on the virtual clock."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from cdk_personalize_segments.local.clock import Clock, iso
from cdk_personalize_segments.local.stepfunctions import scopes
from cdk_personalize_segments.local.stepfunctions.definition import (
    LAMBDA_INVOKE,
    LONGEST_WAIT,
)
from cdk_personalize_segments.local.stepfunctions.errors import (
    NO_CHOICE_MATCHED,
    TIMEOUT,
    StateError,
    is_caught_by,
)
from cdk_personalize_segments.local.stepfunctions.history import (
    Branch,
    History,
    with_input,
    with_output,
)
from cdk_personalize_segments.local.stepfunctions.scopes import (
    EvaluationFailedError,
    Scope,
    Visit,
    sized,
    written,
)
from cdk_personalize_segments.local.untyped import Json

_MOST_AT_ONCE: Final = 40
_NOTHING: Final = object()


class LambdaTask(Protocol):
    """Invokes a function for a state."""

    def __call__(
        self, arguments: Mapping[str, Any], timeout: float | None, request_id: str
    ) -> Json:
        """Invoke it, and give its result.

        Args:
            arguments: The evaluated arguments.
            timeout: Seconds to wait at most, or None.
            request_id: The id of the request.

        Raises:
            StateError: It failed, or was not ready in time.
        """


class Interpreter:
    """The states of one execution."""

    def __init__(
        self,
        clock: Clock,
        history: History,
        context: Mapping[str, Any],
        region: str,
        invoke: LambdaTask,
    ) -> None:
        """Prepare to run.

        Args:
            clock: What waits are on.
            history: Where events go.
            context: The parts of the context object that never change.
            region: The Region of the tasks.
            invoke: Invokes functions.
        """
        self._clock = clock
        self._history = history
        self._context = context
        self._region = region
        self._invoke = invoke
        # The same execution has the same chances whenever it is run.
        self._chance = random.Random(context["Execution"]["Id"])  # noqa: S311

    async def run(
        self,
        states: Mapping[str, Any],
        value: Json,
        scope: Scope,
        branch: Branch,
        context: Mapping[str, Any] | None = None,
    ) -> Json:
        """Run states from their start to an end.

        Args:
            states: What has `StartAt` and `States`.
            value: The input of the first.
            scope: Their variables.
            branch: The chain of their events.
            context: What their context has besides that of the execution.

        Returns:
            The output of the last.

        Raises:
            StateError: One failed and nothing caught it.
        """
        name: str | None = states["StartAt"]
        while name is not None:
            state = states["States"][name]
            name, value = await self._visit(
                name, state, value, scope, branch, context or {}
            )
        return value

    async def _visit(
        self,
        name: str,
        state: Mapping[str, Any],
        value: Json,
        scope: Scope,
        branch: Branch,
        context: Mapping[str, Any],
    ) -> tuple[str | None, Any]:
        kind = state["Type"]
        visit = Visit(
            name=name,
            state=state,
            input=value,
            scope=scope,
            branch=branch,
            context={
                **self._context,
                **context,
                "State": {
                    "Name": name,
                    "EnteredTime": iso(self._clock.now()),
                    "RetryCount": 0,
                },
            },
            entered=self._history.add(
                branch,
                f"{kind}StateEntered",
                with_input(written(value), name=name),
                "stateEntered",
            ),
        )
        work = getattr(self, f"_{kind.lower()}")
        assigned: dict[str, Any]
        next_name, output, assigned = await self._guarded(visit, work)
        details = with_output(written(output), name=name)
        if assigned:
            details["assignedVariables"] = {
                key: written(each) for key, each in assigned.items()
            }
            scope.own.update(assigned)
        self._history.add(branch, f"{kind}StateExited", details, "stateExited")
        return next_name, output

    async def _guarded(
        self, visit: Visit, work: Callable[[Visit], Awaitable["Outcome"]]
    ) -> "Outcome":
        """Do a state's work, with its retries and catchers."""
        tried = [0] * len(visit.state.get("Retry", []))
        while True:
            try:
                return await work(visit)
            except StateError as error:
                self._tell_evaluation(visit, error)
                delay = self._retry_delay(visit, error, tried)
                if delay is None:
                    return self._caught(visit, error)
                await asyncio.sleep(delay)
                visit.context["State"]["RetryCount"] += 1

    def _retry_delay(
        self, visit: Visit, error: StateError, tried: list[int]
    ) -> float | None:
        for position, retrier in enumerate(visit.state.get("Retry", [])):
            if not is_caught_by(error.error, retrier["ErrorEquals"]):
                continue
            if tried[position] >= retrier.get("MaxAttempts", 3):
                return None
            growth = retrier.get("BackoffRate", 2.0) ** tried[position]
            tried[position] += 1
            delay = retrier.get("IntervalSeconds", 1) * growth
            delay = min(delay, retrier.get("MaxDelaySeconds", delay))
            if retrier.get("JitterStrategy") == "FULL":
                delay = round(self._chance.uniform(0, delay), 3)
            return float(delay)
        return None

    def _caught(self, visit: Visit, error: StateError) -> "Outcome":
        for position, catcher in enumerate(visit.state.get("Catch", [])):
            if is_caught_by(error.error, catcher["ErrorEquals"]):
                try:
                    return self._outcome(
                        visit,
                        catcher,
                        error.output,
                        f"Catch[{position}]/",
                        errorOutput=error.output,
                    )
                except EvaluationFailedError as failure:
                    self._tell_evaluation(visit, failure)
                    raise
        raise error

    def _tell_evaluation(self, visit: Visit, error: StateError) -> None:
        if isinstance(error, EvaluationFailedError):
            self._history.add(
                visit.branch,
                "EvaluationFailed",
                {**error.details, "location": error.location, "state": visit.name},
            )

    def _evaluated(self, visit: Visit, value: Json, place: str, **states: Json) -> Json:
        return scopes.evaluate(
            value, place, visit, self._clock.now(), self._chance, **states
        )

    def _expected(self, visit: Visit, field: str, kind: str, default: Json) -> Json:
        said = visit.state.get(field, default)
        value = self._evaluated(visit, said, field)
        return scopes.expect(value, kind, said, field, visit)

    def _whole(self, visit: Visit, field: str, least: int, most: int) -> int:
        value: int = self._expected(visit, field, "integer", least)
        if not least <= value <= most:
            raise scopes.out_of_range(
                visit, field, f"must be from {least} to {most}, not {value}"
            )
        return value

    def _outcome(
        self,
        visit: Visit,
        rule: Mapping[str, Any],
        passed_on: Json,
        place: str = "",
        **states: Json,
    ) -> "Outcome":
        """Evaluate the Output and Assign of a state or one of its rules."""
        output = passed_on
        if "Output" in rule:
            output = self._evaluated(visit, rule["Output"], f"{place}Output", **states)
        assigned = {
            name: sized(
                self._evaluated(visit, said, f"{place}Assign/{name}", **states),
                visit.name,
            )
            for name, said in rule.get("Assign", {}).items()
        }
        return rule.get("Next"), sized(output, visit.name), assigned

    async def _pass(self, visit: Visit) -> "Outcome":
        return self._outcome(visit, visit.state, visit.input)

    async def _succeed(self, visit: Visit) -> "Outcome":
        return self._outcome(visit, visit.state, visit.input)

    async def _fail(self, visit: Visit) -> "Outcome":
        error = self._expected(visit, "Error", "string", "")
        cause = self._expected(visit, "Cause", "string", "")
        raise StateError(error, cause if "Cause" in visit.state else None)

    async def _wait(self, visit: Visit) -> "Outcome":
        if "Seconds" in visit.state:
            seconds: float = self._whole(visit, "Seconds", 0, LONGEST_WAIT)
        else:
            seconds = self._seconds_until(
                visit, self._expected(visit, "Timestamp", "string", "")
            )
        await asyncio.sleep(seconds)
        return self._outcome(visit, visit.state, visit.input)

    def _seconds_until(self, visit: Visit, timestamp: str) -> float:
        try:
            until = datetime.fromisoformat(timestamp)
            return max(0.0, (until - self._clock.now()).total_seconds())
        except (TypeError, ValueError):
            raise scopes.out_of_range(
                visit,
                "Timestamp",
                f"must be ISO-8601 with a time zone, not {timestamp!r}",
            ) from None

    async def _choice(self, visit: Visit) -> "Outcome":
        for position, rule in enumerate(visit.state["Choices"]):
            place = f"Choices[{position}]/"
            said = rule["Condition"]
            value = self._evaluated(visit, said, f"{place}Condition")
            if scopes.expect(value, "boolean", said, f"{place}Condition", visit):
                return self._outcome(visit, rule, visit.input, place)
        if "Default" not in visit.state:
            raise StateError(
                NO_CHOICE_MATCHED, scopes.entered(visit, "No choice rule matched.")
            )
        _, output, assigned = self._outcome(visit, visit.state, visit.input)
        return visit.state["Default"], output, assigned

    async def _task(self, visit: Visit) -> "Outcome":
        arguments = self._evaluated(visit, visit.state["Arguments"], "Arguments")
        timeout = None
        if "TimeoutSeconds" in visit.state:
            timeout = self._whole(visit, "TimeoutSeconds", 1, LONGEST_WAIT)
        sized(arguments, LAMBDA_INVOKE)
        what = {"resourceType": "lambda", "resource": "invoke"}
        self._history.add(
            visit.branch,
            "TaskScheduled",
            {
                **what,
                "region": self._region,
                "parameters": written(arguments),
                **({} if timeout is None else {"timeoutInSeconds": timeout}),
            },
        )
        self._history.add(visit.branch, "TaskStarted", what)
        request_id = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        try:
            result = sized(
                await self._clock.in_thread(
                    self._invoke, arguments, timeout, request_id
                ),
                LAMBDA_INVOKE,
            )
        except StateError as error:
            kind = "TaskTimedOut" if error.error == TIMEOUT else "TaskFailed"
            self._history.add(visit.branch, kind, {**what, **error.details})
            raise
        self._history.add(
            visit.branch, "TaskSucceeded", with_output(written(result), **what)
        )
        return self._outcome(visit, visit.state, result, result=result)

    async def _map(self, visit: Visit) -> "Outcome":
        items = visit.input
        if "Items" in visit.state:
            items = self._evaluated(visit, visit.state["Items"], "Items")
        scopes.expect(items, "array", visit.state.get("Items"), "Items", visit)
        most = self._whole(visit, "MaxConcurrency", 0, LONGEST_WAIT)
        places = asyncio.Semaphore(min(most or _MOST_AT_ONCE, _MOST_AT_ONCE))
        self._history.add(visit.branch, "MapStateStarted", {"length": len(items)})
        after = visit.branch.previous

        async def iterate(index: int, item: Json) -> Json:
            async with places:
                return await self._iteration(visit, index, item, Branch(after))

        try:
            results = await _together(
                [iterate(index, item) for index, item in enumerate(items)]
            )
        except StateError:
            self._history.add(visit.branch, "MapStateFailed")
            raise
        self._history.add(visit.branch, "MapStateSucceeded")
        return self._outcome(visit, visit.state, results, result=results)

    async def _iteration(
        self, visit: Visit, index: int, item: Json, branch: Branch
    ) -> Json:
        details = {"name": visit.name, "index": index}
        context = {"Map": {"Item": {"Index": index, "Value": item}}}
        self._history.add(branch, "MapIterationStarted", details)
        try:
            result = await self.run(
                visit.state["ItemProcessor"],
                self._selected(visit, item, context),
                Scope(visit.scope),
                branch,
                context,
            )
        except StateError:
            self._history.add(branch, "MapIterationFailed", details)
            raise
        except asyncio.CancelledError:
            self._history.add(branch, "MapIterationAborted", details)
            raise
        self._history.add(branch, "MapIterationSucceeded", details)
        visit.branch.previous = branch.previous
        return result

    def _selected(self, visit: Visit, item: Json, context: Mapping[str, Any]) -> Json:
        if "ItemSelector" not in visit.state:
            return item
        inside = Visit(
            **{**vars(visit), "context": {**visit.context, **context}},
        )
        return self._evaluated(inside, visit.state["ItemSelector"], "ItemSelector")

    async def _parallel(self, visit: Visit) -> "Outcome":
        value = visit.input
        if "Arguments" in visit.state:
            value = self._evaluated(visit, visit.state["Arguments"], "Arguments")
        self._history.add(visit.branch, "ParallelStateStarted")
        after = visit.branch.previous
        try:
            results = await _together(
                [
                    self.run(branch, value, Scope(visit.scope), Branch(after))
                    for branch in visit.state["Branches"]
                ]
            )
        except StateError:
            self._history.add(visit.branch, "ParallelStateFailed")
            raise
        self._history.add(visit.branch, "ParallelStateSucceeded")
        return self._outcome(visit, visit.state, results, result=results)


Outcome = tuple[str | None, Any, dict[str, Any]]


async def _together(works: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Run several works at once; when one fails, cancel the others and fail."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
