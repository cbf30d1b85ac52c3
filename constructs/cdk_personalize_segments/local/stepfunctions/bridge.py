"""Puts the interpreter behind moto's Step Functions API."""

from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult
from moto.stepfunctions import urls
from moto.stepfunctions.exceptions import (
    InvalidArn,
    ValidationException,
)
from moto.stepfunctions.models import StepFunctionBackend
from moto.stepfunctions.responses import StepFunctionResponse

from cdk_personalize_segments.local.patching import patch
from cdk_personalize_segments.local.stepfunctions import machines
from cdk_personalize_segments.local.stepfunctions.descriptions import (
    description,
    summary,
)
from cdk_personalize_segments.local.stepfunctions.execution import Execution
from cdk_personalize_segments.local.stepfunctions.history import without_data
from cdk_personalize_segments.local.stepfunctions.machines import Machines
from cdk_personalize_segments.local.stepfunctions.map_runs import MapRun
from cdk_personalize_segments.local.stepfunctions.pages import page
from cdk_personalize_segments.local.stepfunctions.registry import Registry
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

# How long, and how many of, the tokens of redrives are remembered.
_TOKENS_KEPT_FOR: Final = timedelta(minutes=15)
_TOKENS_KEPT: Final = 10
_MACHINE_OPERATIONS: Final = (
    "delete_state_machine_version",
    "describe_state_machine",
    "list_state_machine_versions",
    "publish_state_machine_version",
    "validate_state_machine_definition",
)
_EXECUTION_OPERATIONS: Final = (
    "describe_execution",
    "describe_map_run",
    "describe_state_machine_for_execution",
    "get_execution_history",
    "list_executions",
    "list_map_runs",
    "redrive_execution",
    "send_task_failure",
    "send_task_heartbeat",
    "send_task_success",
    "start_execution",
    "stop_execution",
    "update_map_run",
)


class ExecutionNotRedrivable(AWSError):  # noqa: N818
    """An execution cannot be redriven."""

    TYPE = "ExecutionNotRedrivable"


def install(aws: "LocalAws") -> None:
    """Run executions on the virtual clock.

    Args:
        aws: The local AWS.
    """
    machines.install(aws)
    registry = Registry(aws)
    delete = StepFunctionBackend.delete_state_machine

    def delete_state_machine(backend: Moto, arn: str) -> None:
        delete(backend, arn)
        registry.forget(arn)

    patch(StepFunctionBackend, "delete_state_machine", delete_state_machine)
    executions = _Executions(aws, registry)
    ours = {
        **{name: getattr(Machines(aws), name) for name in _MACHINE_OPERATIONS},
        **{name: getattr(executions, name) for name in _EXECUTION_OPERATIONS},
    }
    responses: Moto = type(
        "Responses",
        (StepFunctionResponse,),
        {name: _calling(operation) for name, operation in ours.items()},
    )
    patch(urls, "url_paths", {"{0}/$": responses.dispatch})


def _calling(operation: Moto) -> Moto:
    """Make a method for moto's response class of one of ours."""

    def method(response: Moto) -> ActionResult:
        return ActionResult(operation(response.stepfunction_backend, response))

    return method


class _Executions:
    """The operations on executions and Map Runs."""

    def __init__(self, aws: "LocalAws", registry: Registry) -> None:
        self._clock = aws.clock
        self._registry = registry
        self._redrives: dict[str, dict[str, datetime]] = {}

    def start_execution(self, _: Moto, request: Moto) -> dict[str, Any]:
        if request._get_param("traceHeader") is not None:
            raise NotImplementedError("local AWS keeps no traces, so no traceHeader")
        execution = self._registry.start(
            request._get_param("stateMachineArn"),
            request._get_param("name"),
            request._get_param("input", if_none="{}"),
        )
        return {"executionArn": execution.arn, "startDate": execution.started}

    def stop_execution(self, backend: Moto, request: Moto) -> dict[str, Any]:
        execution = self._find(backend, request)
        self._registry.abort(
            execution, request._get_param("error"), request._get_param("cause")
        )
        return {"stopDate": execution.stopped}

    def redrive_execution(self, backend: Moto, request: Moto) -> dict[str, Any]:
        execution = self._find(backend, request)
        token = request._get_param("clientToken")
        # What has been asked for before is not done again.
        known = self._redrives.setdefault(execution.arn, {})
        for each in [
            each
            for each, at in known.items()
            if self._clock.now() - at > _TOKENS_KEPT_FOR
        ]:
            del known[each]
        if token not in known:
            known[token] = self._on_clock(_redrive(execution))
            for each in list(known)[:-_TOKENS_KEPT]:
                del known[each]
        return {"redriveDate": known[token]}

    def describe_execution(self, backend: Moto, request: Moto) -> dict[str, Any]:
        told = description(self._find(backend, request))
        if request._get_param("includedData") == "METADATA_ONLY":
            for name in ("input", "output"):
                if told.pop(name, None) is not None:
                    told[f"{name}Details"] = {"included": False}
        return told

    def describe_state_machine_for_execution(
        self, backend: Moto, request: Moto
    ) -> dict[str, Any]:
        execution = self._find(backend, request)
        machine = execution.machine
        told = {
            "stateMachineArn": machine.arn,
            "name": machine.name,
            "definition": machine.definition,
            "roleArn": machine.role_arn,
            "updateDate": machine.updated,
            "loggingConfiguration": machine.logging,
            "tracingConfiguration": machine.tracing,
            "label": machine.label,
            "mapRunArn": execution.map_run_arn,
        }
        return {name: value for name, value in told.items() if value is not None}

    def list_executions(self, backend: Moto, request: Moto) -> dict[str, Any]:
        machine = request._get_param("stateMachineArn")
        map_run = request._get_param("mapRunArn")
        if (machine is None) == (map_run is None):
            raise ValidationException(
                "Specify either a stateMachineArn or a mapRunArn, not both."
            )
        if map_run is not None:
            self._registry.map_run(map_run)
        else:
            backend.describe_state_machine(machine)
        chosen = [
            each
            for each in self._registry.newest_first()
            if _is_of(each, map_run or machine) and _is_wanted(each, request)
        ]
        return page(request, "executions", [summary(each) for each in chosen])

    def get_execution_history(self, backend: Moto, request: Moto) -> dict[str, Any]:
        events = self._find(backend, request).events
        if request._get_param("reverseOrder"):
            events.reverse()
        if request._get_param("includeExecutionData") is False:
            events = [without_data(event) for event in events]
        return page(request, "events", events)

    def describe_map_run(self, _: Moto, request: Moto) -> dict[str, Any]:
        return self._map_run(request).description()

    def list_map_runs(self, backend: Moto, request: Moto) -> dict[str, Any]:
        runs = self._registry.map_runs_of(self._find(backend, request))
        return page(request, "mapRuns", [run.summary() for run in reversed(runs)])

    def update_map_run(self, _: Moto, request: Moto) -> dict[str, Any]:
        run = self._map_run(request)
        if run.status != "RUNNING":
            raise ValidationException(
                f"Map Run '{run.arn}' is {run.status} and cannot be updated"
            )
        wanted = {
            field: request._get_param(name)
            for field, name in (
                ("concurrency", "maxConcurrency"),
                ("failures", "toleratedFailureCount"),
                ("percentage", "toleratedFailurePercentage"),
            )
            if request._get_param(name) is not None
        }
        self._on_clock(_update(run, wanted))
        return {}

    def send_task_success(self, _: Moto, request: Moto) -> dict[str, Any]:
        token, output = request._get_param("taskToken"), request._get_param("output")
        self._on_clock(self._registry.tokens.succeed(token, output))
        return {}

    def send_task_failure(self, _: Moto, request: Moto) -> dict[str, Any]:
        failed = self._registry.tokens.fail(
            request._get_param("taskToken"),
            request._get_param("error"),
            request._get_param("cause"),
        )
        self._on_clock(failed)
        return {}

    def send_task_heartbeat(self, _: Moto, request: Moto) -> dict[str, Any]:
        self._on_clock(self._registry.tokens.beat(request._get_param("taskToken")))
        return {}

    def _on_clock(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401
        return self._clock.start(work).result()

    def _find(self, backend: Moto, request: Moto) -> Execution:
        arn = request._get_param("executionArn")
        backend._validate_execution_arn(arn)
        return self._registry.find(arn)

    def _map_run(self, request: Moto) -> MapRun:
        arn = request._get_param("mapRunArn")
        if ":mapRun:" not in arn:
            raise InvalidArn(f"Invalid Map Run Arn: '{arn}'")
        return self._registry.map_run(arn)


async def _redrive(execution: Execution) -> datetime | None:
    reason = execution.not_redrivable
    if reason is None and execution.map_run_arn is not None:
        reason = "Execution is REDRIVABLE_BY_MAP_RUN and cannot be redriven by itself"
    if reason is not None:
        raise ExecutionNotRedrivable(f"{reason}: '{execution.arn}'")
    execution.redrive()
    return execution.redriven


async def _update(run: MapRun, wanted: dict[str, Any]) -> None:
    for field, value in wanted.items():
        setattr(run.limits, field, value)
    run.changed()


def _is_of(execution: Execution, arn: str) -> bool:
    """Tell whether an execution is one of a machine, a version or a Map Run."""
    machine = execution.machine
    return arn in (machine.arn, machine.version, execution.map_run_arn)


def _is_wanted(execution: Execution, request: Moto) -> bool:
    status = request._get_param("statusFilter")
    redriven = {"NOT_REDRIVEN": False, "REDRIVEN": True}.get(
        request._get_param("redriveFilter")
    )
    return status in (None, execution.status) and redriven in (
        None,
        bool(execution.redrive_count),
    )
