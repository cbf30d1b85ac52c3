"""Runs the states of an execution, on the virtual clock."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol

from cdk_personalize_segments.local.clock import Clock, iso
from cdk_personalize_segments.local.stepfunctions import scopes
from cdk_personalize_segments.local.stepfunctions.checks import (
    LONGEST_WAIT,
    read_timestamp,
)
from cdk_personalize_segments.local.stepfunctions.errors import (
    DATA_LIMIT_EXCEEDED,
    HEARTBEAT_TIMEOUT,
    NO_CHOICE_MATCHED,
    RUNTIME,
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
from cdk_personalize_segments.local.stepfunctions.ids import new_uuid
from cdk_personalize_segments.local.stepfunctions.integrations import WAIT_FOR_TOKEN
from cdk_personalize_segments.local.stepfunctions.map_definition import is_distributed
from cdk_personalize_segments.local.stepfunctions.progress import Progress, Scope
from cdk_personalize_segments.local.stepfunctions.scopes import (
    EvaluationFailedError,
    Evaluator,
    Visit,
    sized,
    written,
)
from cdk_personalize_segments.local.task_tokens import new_token
from cdk_personalize_segments.local.untyped import Json

LONGEST_OPEN: Final = timedelta(days=365)
"""How long an execution can run."""
_MOST_AT_ONCE: Final = 40
_CUT_OFF: Final = ("Map", "Parallel", "Task", "Wait")
_VISITS_IN_A_ROW: Final = 50
_NOTHING: Final = object()


@dataclass(frozen=True, kw_only=True)
class TaskCall:
    """What a Task state asks for.

    Attributes:
        resource: Its resource.
        arguments: The evaluated arguments.
        timeout: Seconds that it may take, or None.
        heartbeat: Seconds between heartbeats, or None.
        request_id: The id of the request.
        token: The token that it waits for, or None.
        submitted: Is told what the call returned, if there is more to wait for.
    """

    resource: str
    arguments: Mapping[str, Any]
    timeout: int | None
    heartbeat: int | None
    request_id: str
    token: str | None
    submitted: Callable[[Json], None]


class Surroundings(Protocol):
    """What the states of an execution need from outside."""

    async def perform(self, call: TaskCall) -> Json:
        """Do what a Task state asks for, and give its result.

        Args:
            call: What it asks for.

        Raises:
            StateError: It failed, or was not ready in time.
        """

    async def run_distributed_map(
        self, visit: Visit, evaluator: Evaluator, history: History
    ) -> Json:
        """Run a Distributed Map state, and give its result.

        Args:
            visit: The visit to it.
            evaluator: Evaluates its fields.
            history: Where its events go.

        Raises:
            StateError: It failed.
        """


class Interpreter:
    """The states of one execution."""

    def __init__(
        self,
        clock: Clock,
        history: History,
        context: Mapping[str, Any],
        region: str,
        surroundings: Surroundings,
        chance: random.Random,
    ) -> None:
        """Prepare to run.

        Args:
            clock: What waits are on.
            history: Where events go.
            context: The parts of the context object that never change.
            region: The Region of the tasks.
            surroundings: Performs tasks and Distributed Maps.
            chance: Where chance comes from.
        """
        self._clock = clock
        self._history = history
        self._context = context
        self._region = region
        self._surroundings = surroundings
        self._chance = chance
        self._evaluator = Evaluator(clock, chance)
        self._visits = itertools.count(1)

    async def run(
        self,
        states: Mapping[str, Any],
        progress: Progress,
        branch: Branch,
        context: Mapping[str, Any] | None = None,
    ) -> Json:
        """Run states from where they are to an end.

        Args:
            states: What has `StartAt` and `States`.
            progress: How far they have come, which is kept up to date.
            branch: The chain of their events.
            context: What their context has besides that of the execution.

        Returns:
            The output of the last.

        Raises:
            StateError: One failed and nothing caught it.
        """
        progress.running = True
        try:
            await self._run(states, progress, branch, context or {})
        finally:
            progress.running = False
        return progress.input

    async def _run(
        self,
        states: Mapping[str, Any],
        progress: Progress,
        branch: Branch,
        context: Mapping[str, Any],
    ) -> None:
        while not progress.ended:
            if next(self._visits) % _VISITS_IN_A_ROW == 0:
                # States that wait for nothing must not keep others from stopping them.
                await asyncio.sleep(0)
            state = states["States"][progress.state]
            await self._visit(state, progress, branch, context)

    async def _visit(
        self,
        state: Mapping[str, Any],
        progress: Progress,
        branch: Branch,
        context: Mapping[str, Any],
    ) -> None:
        kind, name = state["Type"], progress.state
        self._enter(kind, progress, branch)
        visit = Visit(
            name=name,
            state=state,
            input=progress.input,
            scope=progress.scope,
            branch=branch,
            context={
                **self._context,
                **context,
                "State": {
                    "Name": name,
                    "EnteredTime": iso(progress.entered_at or self._clock.now()),
                    "RetryCount": 0,
                },
            },
            entered=progress.entered or 0,
            progress=progress,
        )
        work = getattr(self, f"_{kind.lower()}")
        next_name, output, assigned = await self._guarded(visit, work)
        details = with_output(written(output), name=name)
        if assigned:
            details["assignedVariables"] = {
                key: written(each) for key, each in assigned.items()
            }
            progress.scope.own.update(assigned)
        self._history.add(branch, f"{kind}StateExited", details, "stateExited")
        progress.leave(next_name, output)

    def _enter(self, kind: str, progress: Progress, branch: Branch) -> None:
        """Enter a state, unless a redrive finds it entered already.

        A Fail state is entered again, as in
        https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html;
        that the others are not is an assumption.
        """
        if progress.entered is not None and kind != "Fail":
            return
        details = with_input(written(progress.input), name=progress.state)
        progress.entered_at = self._clock.now()
        progress.entered = self._history.add(
            branch, f"{kind}StateEntered", details, "stateEntered"
        )

    async def _guarded(
        self, visit: Visit, work: Callable[[Visit], Awaitable["Outcome"]]
    ) -> "Outcome":
        """Do a state's work, with its retries and catchers.

        A Map or Parallel state has failed only once its retries are used up.
        """
        tried = [0] * len(visit.state.get("Retry", []))
        while True:
            try:
                return await work(visit)
            except StateError as error:
                self._tell_evaluation(visit, error)
                delay = self._retry_delay(visit, error, tried)
                if delay is None:
                    if error.error == DATA_LIMIT_EXCEEDED:
                        # A redrive repeats what came out too large, all of it.
                        visit.progress.forget()
                    return self._caught(visit, error)
                visit.progress.forget()
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
            delay = _backoff(retrier, tried[position])
            tried[position] += 1
            if retrier.get("JitterStrategy") == "FULL":
                delay = round(self._chance.uniform(0, delay), 3)
            return delay
        return None

    def _caught(self, visit: Visit, error: StateError) -> "Outcome":
        """Give what comes of a failure, with its events in the order seen on AWS."""
        before = visit.branch.previous
        self._tell_failure(visit, error)
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
                except StateError as failure:
                    error = failure
                visit.branch.previous = before
                self._tell_evaluation(visit, error)
                self._tell_failure(visit, error)
                break
        # Whatever it was, for the states around this one no expression of theirs.
        raise StateError(error.error, error.cause)

    def _tell_failure(self, visit: Visit, error: StateError) -> None:
        kind = visit.state["Type"]
        if kind in ("Map", "Parallel") and error.error != RUNTIME:
            self._history.add(visit.branch, f"{kind}StateFailed")

    def _tell_evaluation(self, visit: Visit, error: StateError) -> None:
        if isinstance(error, EvaluationFailedError):
            self._history.add(
                visit.branch,
                "EvaluationFailed",
                {**error.details, "location": error.location, "state": visit.name},
            )

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
            output = self._evaluator.value(
                visit, rule["Output"], f"{place}Output", **states
            )
        assigned = {
            name: self._evaluator.value(visit, said, f"{place}Assign/{name}", **states)
            for name, said in rule.get("Assign", {}).items()
        }
        if assigned:
            # Together they may have no more than one may have alone.
            sized(assigned, visit.name)
        return rule.get("Next"), sized(output, visit.name), assigned

    async def _pass(self, visit: Visit) -> "Outcome":
        return self._outcome(visit, visit.state, visit.input)

    async def _succeed(self, visit: Visit) -> "Outcome":
        return self._outcome(visit, visit.state, visit.input)

    async def _fail(self, visit: Visit) -> "Outcome":
        error = self._evaluator.typed(visit, "Error", "string", "")
        cause = self._evaluator.typed(visit, "Cause", "string", "")
        raise StateError(error, cause if "Cause" in visit.state else None)

    async def _wait(self, visit: Visit) -> "Outcome":
        if "Seconds" in visit.state:
            seconds: float = self._evaluator.whole(visit, "Seconds", 0, LONGEST_WAIT)
        else:
            seconds = self._seconds_until(
                visit, self._evaluator.typed(visit, "Timestamp", "string", "")
            )
        await asyncio.sleep(seconds)
        return self._outcome(visit, visit.state, visit.input)

    def _seconds_until(self, visit: Visit, timestamp: str) -> float:
        try:
            until = read_timestamp(timestamp)
        except ValueError:
            raise scopes.out_of_range(
                visit,
                "Timestamp",
                f"must be ISO-8601 with a time zone, not {timestamp!r}",
            ) from None
        return max(0.0, (until - self._clock.now()).total_seconds())

    async def _choice(self, visit: Visit) -> "Outcome":
        for position, rule in enumerate(visit.state["Choices"]):
            place = f"Choices[{position}]/"
            said = rule["Condition"]
            value = self._evaluator.value(visit, said, f"{place}Condition")
            if scopes.expect(value, "boolean", said, f"{place}Condition", visit):
                return self._outcome(visit, rule, visit.input, place)
        if "Default" not in visit.state:
            # So it is documented, though AWS has been seen to say States.Runtime:
            # https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
            raise StateError(
                NO_CHOICE_MATCHED, scopes.entered(visit, "No choice rule matched.")
            )
        _, output, assigned = self._outcome(visit, visit.state, visit.input)
        return visit.state["Default"], output, assigned

    async def _task(self, visit: Visit) -> "Outcome":
        call, what = self._call(visit)
        self._history.add(
            visit.branch, "TaskScheduled", {**what, **_scheduled(call, self._region)}
        )
        self._history.add(visit.branch, "TaskStarted", what)
        try:
            async with asyncio.timeout(call.timeout) as limit:
                result = await self._surroundings.perform(call)
            result = sized(result, call.resource)
        except TimeoutError:
            if not limit.expired():
                raise
            self._history.add(visit.branch, "TaskTimedOut", {**what, "error": TIMEOUT})
            raise StateError(TIMEOUT) from None
        except StateError as error:
            late = error.error in (HEARTBEAT_TIMEOUT, TIMEOUT)
            kind = "TaskTimedOut" if late else "TaskFailed"
            self._history.add(visit.branch, kind, {**what, **error.details})
            raise
        self._history.add(
            visit.branch, "TaskSucceeded", with_output(written(result), **what)
        )
        return self._outcome(visit, visit.state, result, result=result)

    def _call(self, visit: Visit) -> tuple[TaskCall, dict[str, str]]:
        """Give what a Task state asks for, and how events name its resource."""
        resource = visit.state["Resource"]
        token = None
        if resource.endswith(WAIT_FOR_TOKEN):
            token = new_token(self._context["StateMachine"]["Id"], self._chance)
            visit.context["Task"] = {"Token": token}
        arguments = self._evaluator.typed(visit, "Arguments", "object", {})
        sized(arguments, resource)
        times = {
            field: self._evaluator.whole(visit, field, 1, LONGEST_WAIT)
            for field in ("TimeoutSeconds", "HeartbeatSeconds")
            if field in visit.state
        }
        kind, _, action = resource.removeprefix("arn:aws:states:::").partition(":")
        what = {"resourceType": kind, "resource": action}

        def submitted(result: Json) -> None:
            details = with_output(written(result), **what)
            self._history.add(visit.branch, "TaskSubmitted", details)

        call = TaskCall(
            resource=resource,
            arguments=arguments,
            timeout=times.get("TimeoutSeconds"),
            heartbeat=times.get("HeartbeatSeconds"),
            request_id=new_uuid(self._chance),
            token=token,
            submitted=submitted,
        )
        return call, what

    async def _map(self, visit: Visit) -> "Outcome":
        if is_distributed(visit.state):
            work = self._surroundings.run_distributed_map(
                visit, self._evaluator, self._history
            )
        else:
            work = self._iterations(visit)
        results = await work
        # What follows goes on from before these events.
        aside = Branch(visit.branch.previous)
        if is_distributed(visit.state):
            self._history.add(aside, "MapRunSucceeded")
        self._history.add(aside, "MapStateSucceeded")
        return self._outcome(visit, visit.state, results, result=results)

    async def _iterations(self, visit: Visit) -> list[Any]:
        progress = visit.progress
        most = self._evaluator.whole(visit, "MaxConcurrency", 0, LONGEST_WAIT)
        if progress.items is None:
            progress.items = self._evaluator.items(visit)
            details = {"length": len(progress.items)}
            self._history.add(visit.branch, "MapStateStarted", details)
        places = asyncio.Semaphore(min(most or _MOST_AT_ONCE, _MOST_AT_ONCE))
        after = visit.branch.previous

        async def iterate(index: int, item: Json, branch: Branch) -> Json:
            inner = progress.inner.get(index)
            if inner is not None and inner.ended:
                return inner.input
            await places.acquire()
            result = await self._iteration(visit, index, item, branch)
            # Not after a failure: then no other may begin.
            places.release()
            return result

        branches = [Branch(after) for _ in progress.items]
        works = [
            iterate(index, item, branch)
            for index, (item, branch) in enumerate(
                zip(progress.items, branches, strict=True)
            )
        ]
        return await self._together(visit, branches, works)

    async def _iteration(
        self, visit: Visit, index: int, item: Json, branch: Branch
    ) -> Json:
        details = {"name": visit.name, "index": index}
        context = {"Map": {"Item": {"Index": index, "Value": item}}}
        self._history.add(branch, "MapIterationStarted", details)
        processor = visit.state["ItemProcessor"]
        if index not in visit.progress.inner:
            visit.progress.inner[index] = Progress(
                processor["StartAt"],
                self._evaluator.selected(visit, index, item),
                Scope(visit.scope),
            )
        result = await self.run(processor, visit.progress.inner[index], branch, context)
        self._history.add(branch, "MapIterationSucceeded", details)
        return result

    async def _parallel(self, visit: Visit) -> "Outcome":
        progress = visit.progress
        if not progress.inner:
            value = visit.input
            if "Arguments" in visit.state:
                value = self._evaluator.value(
                    visit, visit.state["Arguments"], "Arguments"
                )
                sized(value, visit.name)
            self._history.add(visit.branch, "ParallelStateStarted")
            progress.inner = {
                position: Progress(branch["StartAt"], value, Scope(visit.scope))
                for position, branch in enumerate(visit.state["Branches"])
            }
        branches = [Branch(visit.branch.previous) for _ in visit.state["Branches"]]
        works = [
            self.run(states, progress.inner[position], branches[position])
            for position, states in enumerate(visit.state["Branches"])
        ]
        results = await self._together(visit, branches, works)
        # What follows goes on from before this event.
        self._history.add(Branch(visit.branch.previous), "ParallelStateSucceeded")
        return self._outcome(visit, visit.state, results, result=results)

    async def _together(
        self,
        visit: Visit,
        branches: list[Branch],
        works: list[Coroutine[Any, Any, Any]],
    ) -> list[Any]:
        """Run branches or iterations at once; when one fails, stop the others and fail.

        The state goes on from the last event inside of it, or of the first to fail.
        """
        failed: list[int] = []

        async def follow(position: int) -> Json:
            try:
                result = await works[position]
            except StateError:
                if not failed:
                    visit.branch.previous = branches[position].previous
                failed.append(position)
                raise
            if not failed:
                last = max(visit.branch.previous, branches[position].previous)
                visit.branch.previous = last
            return result

        tasks = [asyncio.ensure_future(follow(each)) for each in range(len(works))]
        try:
            return await asyncio.gather(*tasks)
        except StateError as error:
            if error.error != RUNTIME:
                self._tell_cut(visit, failed[0])
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _tell_cut(self, visit: Visit, failed: int) -> None:
        """Tell what the failure of a branch or an iteration cuts off.

        All of these events follow the last one of what failed. They and their order are
        as observed on AWS, not documented; neither is what AWS tells of states when the
        whole execution is stopped or times out: here nothing.

        Args:
            visit: The visit to the Map or Parallel state.
            failed: The position of what failed.
        """
        for kind, details in _cut(visit.name, visit.state, visit.progress, failed):
            self._history.add(Branch(visit.branch.previous), kind, details)
        if visit.state["Type"] == "Map":
            details = {"name": visit.name, "index": failed}
            aside = Branch(visit.branch.previous)
            self._history.add(aside, "MapIterationFailed", details)


def _backoff(retrier: Mapping[str, Any], tried: int) -> float:
    # No execution sees the end of a longer delay.
    longest = LONGEST_OPEN.total_seconds()
    try:
        growth = float(retrier.get("BackoffRate", 2.0)) ** tried
    except OverflowError:
        growth = longest
    delay = retrier.get("IntervalSeconds", 1) * growth
    return float(min(delay, retrier.get("MaxDelaySeconds", longest), longest))


Outcome = tuple[str | None, Any, dict[str, Any]]


def _cut(
    name: str, state: Mapping[str, Any], progress: Progress, failed: int | None
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Name the events of what is at work inside of a state, and is cut off."""
    for position, inner in sorted(progress.inner.items()):
        within = state.get("ItemProcessor") or state["Branches"][position]
        inner_state = within["States"][inner.state]
        kind = inner_state["Type"]
        if position == failed:
            if kind == "Task":
                yield "TaskStateAborted", None
        elif inner.running:
            if state["Type"] == "Map":
                yield "MapIterationAborted", {"name": name, "index": position}
            if inner.entered is not None and kind in _CUT_OFF:
                yield f"{kind}StateAborted", None
            yield from _cut(inner.state, inner_state, inner, None)


def _scheduled(call: TaskCall, region: str) -> dict[str, Any]:
    told = {
        "region": region,
        "parameters": written(call.arguments),
        "timeoutInSeconds": call.timeout,
        "heartbeatInSeconds": call.heartbeat,
    }
    return {name: value for name, value in told.items() if value is not None}
