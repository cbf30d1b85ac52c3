"""Runs Distributed Map states.

https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
"""

import asyncio
from typing import TYPE_CHECKING, Any

from cdk_personalize_segments.local.clock import Clock
from cdk_personalize_segments.local.stepfunctions.access import Access
from cdk_personalize_segments.local.stepfunctions.checks import LONGEST_WAIT
from cdk_personalize_segments.local.stepfunctions.errors import (
    ITEM_READER_FAILED,
    PERMISSIONS,
    RESULT_WRITER_FAILED,
    StateError,
)
from cdk_personalize_segments.local.stepfunctions.history import History
from cdk_personalize_segments.local.stepfunctions.ids import uuid_of
from cdk_personalize_segments.local.stepfunctions.item_reader import read_items
from cdk_personalize_segments.local.stepfunctions.map_definition import (
    MOST_ITEMS,
    READERS,
    WRITER_ARGUMENTS,
)
from cdk_personalize_segments.local.stepfunctions.map_runs import Child, Limits, MapRun
from cdk_personalize_segments.local.stepfunctions.result_writer import (
    Format,
    results,
    write_results,
)
from cdk_personalize_segments.local.stepfunctions.scopes import (
    LONGEST_PAYLOAD,
    Evaluator,
    Visit,
    out_of_range,
    sized,
    written,
)
from cdk_personalize_segments.local.untyped import Json

if TYPE_CHECKING:
    from cdk_personalize_segments.local.stepfunctions.execution import Execution
    from cdk_personalize_segments.local.stepfunctions.registry import Registry


class DistributedMap:
    """Runs the Distributed Map states of one execution."""

    def __init__(
        self, clock: Clock, registry: "Registry", parent: "Execution", access: Access
    ) -> None:
        """Prepare to run.

        Args:
            clock: What waits are on.
            registry: Where Map Runs and child executions are known.
            parent: The execution.
            access: What its role may do.
        """
        self._clock = clock
        self._registry = registry
        self._parent = parent
        self._access = access

    async def run(self, visit: Visit, evaluator: Evaluator, history: History) -> Json:
        """Run a state, or redrive its Map Run, as `interpreter.Surroundings` has it."""
        run = visit.progress.map_run
        if run is None:
            run = self._new_run(visit, evaluator, history)
        else:
            run.redrive()
            details = {"mapRunArn": run.arn, "redriveCount": run.redrive_count}
            history.add(visit.branch, "MapRunRedriven", details)
        try:
            result = await self._result(run, visit, evaluator)
        except StateError as error:
            run.end("FAILED")
            history.add(visit.branch, "MapRunFailed", error.details)
            raise
        except asyncio.CancelledError:
            run.end("ABORTED")
            history.add(visit.branch, "MapRunAborted")
            raise
        except Exception:
            run.end("FAILED")
            raise
        run.end("SUCCEEDED")
        return result

    def _new_run(self, visit: Visit, evaluator: Evaluator, history: History) -> MapRun:
        limits = _limits(visit, evaluator)
        length = 0
        if "ItemReader" not in visit.state:
            visit.progress.items = evaluator.items(visit)
            length = len(visit.progress.items)
        history.add(visit.branch, "MapStateStarted", {"length": length})
        machine = self._parent.machine
        # The same execution has the same Map Runs whenever it is run.
        label = visit.state.get("Label") or uuid_of(f"{machine.arn}/{visit.name}")
        place, _, _ = self._parent.arn.partition(":execution:")
        name = uuid_of(f"{self._parent.arn}/{visit.entered}")
        run = MapRun(
            arn=f"{place}:mapRun:{machine.name}/{label}:{name}",
            parent=self._parent,
            label=label,
            limits=limits,
            clock=self._clock,
            start=self._registry.start_child,
        )
        visit.progress.map_run = run
        self._registry.add_map_run(run, visit.state["ItemProcessor"])
        history.add(visit.branch, "MapRunStarted", {"mapRunArn": run.arn})
        return run

    async def _result(self, run: MapRun, visit: Visit, evaluator: Evaluator) -> Json:
        self._check_access(run)
        if run.children is None:
            items = await self._items(visit, evaluator)
            run.children = _children(visit, evaluator, items)
        failure = None
        try:
            await run.work(run.children)
        except StateError as error:
            failure = error
        writer = visit.state.get("ResultWriter", {})
        form = Format.of(writer)
        result: Any
        if "Resource" in writer:
            arguments = _arguments(
                visit, evaluator, "ResultWriter", WRITER_ARGUMENTS, RESULT_WRITER_FAILED
            )
            result = await self._clock.in_thread(
                write_results, self._access.client("s3"), run, arguments, form
            )
            run.exported = True
        else:
            result = results(run.children, form)
        if failure is not None:
            raise failure
        return result

    def _check_access(self, run: MapRun) -> None:
        """Check what a role needs; with which error AWS fails is not documented."""
        arn = self._parent.machine.arn
        needed = {"states:StartExecution": arn}
        if run.redrive_count:
            executions = arn.replace(":stateMachine:", ":execution:")
            needed["states:RedriveExecution"] = f"{executions}/{run.label}:*"
        for action, resource in needed.items():
            self._access.check(
                action, resource, lambda why: StateError(PERMISSIONS, why)
            )

    async def _items(self, visit: Visit, evaluator: Evaluator) -> list[Any]:
        if visit.progress.items is not None:
            return visit.progress.items
        reader = visit.state["ItemReader"]
        most = MOST_ITEMS
        if "MaxItems" in reader.get("ReaderConfig", {}):
            most = evaluator.whole(
                visit, "ItemReader/ReaderConfig/MaxItems", 1, MOST_ITEMS
            )
        arguments = _arguments(
            visit,
            evaluator,
            "ItemReader",
            READERS[reader["Resource"]],
            ITEM_READER_FAILED,
        )
        items: list[Any] = await self._clock.in_thread(
            read_items, self._access.client("s3"), reader, arguments, most
        )
        return items


def _arguments(
    visit: Visit, evaluator: Evaluator, field: str, known: frozenset[str], error: str
) -> dict[str, str]:
    """Evaluate the arguments of a reader or writer, and check what came out."""
    arguments = evaluator.value(
        visit, visit.state[field]["Arguments"], f"{field}/Arguments"
    )
    needed = sorted({"Bucket", "Key"} & known)
    if (
        not isinstance(arguments, dict)
        or not set(needed) <= set(arguments) <= known
        or not all(isinstance(value, str) for value in arguments.values())
    ):
        raise StateError(
            error,
            f"The Arguments of the {field} must be strings, {' and '.join(needed)} and "
            f"no others than {', '.join(sorted(known))}: {written(arguments)}",
        )
    return arguments


def _limits(visit: Visit, evaluator: Evaluator) -> Limits:
    limits = Limits(
        evaluator.whole(visit, "MaxConcurrency", 0, LONGEST_WAIT), None, None
    )
    if "ToleratedFailureCount" in visit.state:
        limits.failures = evaluator.whole(
            visit, "ToleratedFailureCount", 0, LONGEST_WAIT
        )
    if "ToleratedFailurePercentage" in visit.state:
        value = evaluator.typed(visit, "ToleratedFailurePercentage", "number", 0)
        if not 0 <= value <= 100:
            raise out_of_range(
                visit,
                "ToleratedFailurePercentage",
                f"must be from 0 to 100, not {value}",
            )
        limits.percentage = value
    return limits


def _children(visit: Visit, evaluator: Evaluator, items: list[Any]) -> list[Child]:
    selected = [
        evaluator.selected(visit, index, item) for index, item in enumerate(items)
    ]
    if "ItemBatcher" not in visit.state:
        return [Child(written(sized(each, visit.name)), 1) for each in selected]
    batcher = visit.state["ItemBatcher"]
    around = {}
    if "BatchInput" in batcher:
        around["BatchInput"] = evaluator.value(
            visit, batcher["BatchInput"], "ItemBatcher/BatchInput"
        )
    most_items = most_bytes = None
    if "MaxItemsPerBatch" in batcher:
        most_items = evaluator.whole(
            visit, "ItemBatcher/MaxItemsPerBatch", 1, LONGEST_WAIT
        )
    if "MaxInputBytesPerBatch" in batcher:
        most_bytes = evaluator.whole(
            visit, "ItemBatcher/MaxInputBytesPerBatch", 1, LONGEST_PAYLOAD
        )
    batches = _batches(
        selected,
        most_items or len(selected),
        (most_bytes or LONGEST_PAYLOAD)
        - len(written({**around, "Items": []}).encode()),
    )
    return [
        Child(written(sized({**around, "Items": batch}, visit.name)), len(batch))
        for batch in batches
    ]


def _batches(items: list[Any], most_items: int, most_bytes: int) -> list[list[Any]]:
    """Divide items, so that no batch has too many or, if possible, is too large."""
    batches: list[list[Any]] = []
    size = 0
    for item in items:
        own = len(written(item).encode()) + 1
        if not batches or len(batches[-1]) >= most_items or size + own > most_bytes + 1:
            batches.append([])
            size = 0
        batches[-1].append(item)
        size += own
    return batches
