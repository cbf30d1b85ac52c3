"""Puts the interpreter behind moto's Step Functions API."""

import json
import random
import threading
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult
from moto.stepfunctions.exceptions import (
    ExecutionAlreadyExists,
    ExecutionDoesNotExist,
    InvalidExecutionInput,
    InvalidToken,
    StateMachineDoesNotExist,
    ValidationException,
)
from moto.stepfunctions.models import StepFunctionBackend
from moto.stepfunctions.responses import StepFunctionResponse

from cdk_personalize_segments.local import log_groups
from cdk_personalize_segments.local.patching import patch
from cdk_personalize_segments.local.stepfunctions.definition import (
    InvalidDefinitionError,
    parse,
)
from cdk_personalize_segments.local.stepfunctions.execution import Execution, Machine
from cdk_personalize_segments.local.stepfunctions.history import without_data
from cdk_personalize_segments.local.stepfunctions.lambda_task import LambdaInvoke
from cdk_personalize_segments.local.stepfunctions.logs import group_of
from cdk_personalize_segments.local.stepfunctions.scopes import LONGEST_PAYLOAD
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

_PAGE: Final = 100
_LONGEST_PAGE: Final = 1000


class InvalidDefinition(AWSError):  # noqa: N818
    """A definition is refused."""

    TYPE = "InvalidDefinition"


class InvalidLoggingConfiguration(AWSError):  # noqa: N818
    """A logging configuration is refused."""

    TYPE = "InvalidLoggingConfiguration"


class StateMachineAlreadyExists(AWSError):  # noqa: N818
    """There is another state machine of that name."""

    TYPE = "StateMachineAlreadyExists"


class StateMachineTypeNotSupported(AWSError):  # noqa: N818
    """Local AWS does not run machines of that type."""

    TYPE = "StateMachineTypeNotSupported"


def install(aws: "LocalAws") -> None:
    """Run executions on the virtual clock.

    Args:
        aws: The local AWS.
    """
    _patch_machines(aws)
    executions = _Executions(aws)
    delete = StepFunctionBackend.delete_state_machine

    def delete_state_machine(backend: Moto, arn: str) -> None:
        delete(backend, arn)
        executions.forget(arn)

    patch(StepFunctionBackend, "delete_state_machine", delete_state_machine)
    for operation in ("failure", "heartbeat", "success"):
        patch(StepFunctionBackend, f"send_task_{operation}", _refuse_token)
    for operation in (
        "describe_execution",
        "describe_state_machine_for_execution",
        "get_execution_history",
        "list_executions",
        "start_execution",
        "stop_execution",
    ):
        patch(StepFunctionResponse, operation, _calling(getattr(executions, operation)))


def _refuse_token(*_: object, **__: object) -> None:
    raise InvalidToken("no task of local AWS waits for a token")


def _calling(operation: Moto) -> Moto:
    """Make a method for moto's response class of one of ours."""

    def method(response: Moto) -> ActionResult:
        return ActionResult(operation(response.stepfunction_backend, response))

    return method


def _patch_machines(aws: "LocalAws") -> None:
    create = StepFunctionBackend.create_state_machine
    update = StepFunctionBackend.update_state_machine

    def create_state_machine(
        backend: Moto,
        name: str,
        definition: str,
        roleArn: str,  # noqa: N803
        **others: Moto,
    ) -> Moto:
        if others.get("sm_type") == "EXPRESS":
            raise StateMachineTypeNotSupported(
                f"local AWS runs STANDARD state machines only, and {name} is EXPRESS"
            )
        _check_definition(definition)
        _check_logging(backend, others.get("loggingConfiguration"))
        known = {machine.name: machine for machine in backend.state_machines}
        if name in known and not _is_same(known[name], definition, roleArn, others):
            raise StateMachineAlreadyExists(
                f"State Machine Already Exists: '{known[name].arn}'"
            )
        machine = create(backend, name, definition, roleArn, **others)
        if name not in known:
            machine.creation_date = machine.update_date = aws.clock.now()
        return machine

    def update_state_machine(
        backend: Moto,
        arn: str,
        definition: str | None = None,
        *args: Moto,
        **others: Moto,
    ) -> Moto:
        if definition is not None:
            _check_definition(definition)
        _check_logging(backend, others.get("logging_configuration"))
        machine = update(backend, arn, definition, *args, **others)
        machine.update_date = aws.clock.now()
        return machine

    patch(StepFunctionBackend, "create_state_machine", create_state_machine)
    patch(StepFunctionBackend, "update_state_machine", update_state_machine)


def _check_definition(definition: str) -> None:
    try:
        parse(definition)
    except InvalidDefinitionError as error:
        raise InvalidDefinition(
            f"Invalid State Machine Definition: '{error}'"
        ) from None


def _check_logging(backend: Moto, configuration: Mapping[str, Any] | None) -> None:
    if not configuration or configuration.get("level", "OFF") == "OFF":
        return
    group = group_of(configuration)
    if group is None:
        raise InvalidLoggingConfiguration(
            "Invalid Logging Configuration: Must specify exactly one Log Destination."
        )
    if not log_groups.exists(backend.account_id, backend.region_name, group):
        raise InvalidLoggingConfiguration(
            f"Invalid Logging Configuration: there is no log group {group}"
        )


def _is_same(
    machine: Moto, definition: str, role_arn: str, others: Mapping[str, Any]
) -> bool:
    return bool(
        machine.definition == definition
        and machine.roleArn == role_arn
        and machine.loggingConfiguration
        == (others.get("loggingConfiguration") or {"level": "OFF"})
        and machine.tracingConfiguration
        == (others.get("tracingConfiguration") or {"enabled": False})
    )


class _Executions:
    """All executions, and the operations on them."""

    def __init__(self, aws: "LocalAws") -> None:
        self._aws = aws
        self._by_arn: dict[str, Execution] = {}
        self._starting = threading.Lock()
        # Chance follows from the name, so that every session goes the same way.
        self._names = random.Random(0)  # noqa: S311

    def start_execution(self, backend: Moto, request: Moto) -> dict[str, Any]:
        machine = backend.describe_state_machine(request._get_param("stateMachineArn"))
        name = request._get_param("name")
        text = request._get_param("input", if_none="{}")
        _check_input(text)
        if name:
            backend._validate_name(name)
        else:
            name = str(uuid.UUID(int=self._names.getrandbits(128), version=4))
        arn = (
            f"arn:{backend.partition}:states:{backend.region_name}:"
            f"{backend.account_id}:execution:{machine.name}:{name}"
        )
        with self._starting:
            execution = self._by_arn.get(arn)
            if execution is None:
                execution = self._start(machine, arn, name, text)
            elif execution.status != "RUNNING" or execution.input != text:
                raise ExecutionAlreadyExists(f"Execution Already Exists: '{arn}'")
        return {"executionArn": arn, "startDate": execution.started}

    def _start(self, machine: Moto, arn: str, name: str, text: str) -> Execution:
        execution = Execution(
            arn=arn,
            name=name,
            machine=Machine(
                # Of a version, the machine that it is of.
                arn=getattr(machine, "source_arn", machine.arn),
                name=machine.name,
                role_arn=machine.roleArn,
                definition=machine.definition,
                states=parse(machine.definition),
                logging=machine.loggingConfiguration,
                tracing=machine.tracingConfiguration,
                updated=machine.update_date,
            ),
            text=text,
            clock=self._aws.clock,
            on_status=self._aws.events.status_changed,
        )
        self._by_arn[arn] = execution
        execution.start(LambdaInvoke(self._aws, arn.split(":")[3], machine.roleArn))
        return execution

    def forget(self, machine_arn: str) -> None:
        """Abort the executions of a machine, which go with it, and free their names."""
        for execution in list(self._by_arn.values()):
            if execution.machine.arn == machine_arn:
                execution.abort(None, None)
                del self._by_arn[execution.arn]

    def stop_execution(self, backend: Moto, request: Moto) -> dict[str, Any]:
        execution = self._find(backend, request)
        execution.abort(request._get_param("error"), request._get_param("cause"))
        return {"stopDate": execution.stopped}

    def describe_execution(self, backend: Moto, request: Moto) -> dict[str, Any]:
        execution = self._find(backend, request)
        told = {
            **_summary(execution),
            "input": execution.input,
            "inputDetails": {"included": True},
            "error": execution.error,
            "cause": execution.cause,
        }
        if execution.output is not None:
            told["output"] = execution.output
            told["outputDetails"] = {"included": True}
        return {name: value for name, value in told.items() if value is not None}

    def describe_state_machine_for_execution(
        self, backend: Moto, request: Moto
    ) -> dict[str, Any]:
        machine = self._find(backend, request).machine
        return {
            "stateMachineArn": machine.arn,
            "name": machine.name,
            "definition": machine.definition,
            "roleArn": machine.role_arn,
            "updateDate": machine.updated,
            "loggingConfiguration": machine.logging,
            "tracingConfiguration": machine.tracing,
        }

    def list_executions(self, backend: Moto, request: Moto) -> dict[str, Any]:
        arn = request._get_param("stateMachineArn")
        if arn not in {machine.arn for machine in backend.state_machines}:
            raise StateMachineDoesNotExist(f"State Machine Does Not Exist: '{arn}'")
        wanted = request._get_param("statusFilter")
        newest_first = sorted(
            (
                execution
                for execution in reversed(self._by_arn.values())
                if execution.machine.arn == arn
                and (wanted is None or execution.status == wanted)
            ),
            key=lambda execution: execution.started,
            reverse=True,
        )
        return _page(request, "executions", [_summary(each) for each in newest_first])

    def get_execution_history(self, backend: Moto, request: Moto) -> dict[str, Any]:
        events = self._find(backend, request).events
        if request._get_param("reverseOrder"):
            events.reverse()
        if request._get_param("includeExecutionData") is False:
            events = [without_data(event) for event in events]
        return _page(request, "events", events)

    def _find(self, backend: Moto, request: Moto) -> Execution:
        arn = request._get_param("executionArn")
        backend._validate_execution_arn(arn)
        if arn not in self._by_arn:
            raise ExecutionDoesNotExist(f"Execution Does Not Exist: '{arn}'")
        return self._by_arn[arn]


def _check_input(text: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        raise InvalidExecutionInput(
            f"Invalid State Machine Execution Input: '{error}'"
        ) from None
    if len(text.encode()) > LONGEST_PAYLOAD:
        raise InvalidExecutionInput(
            "Invalid State Machine Execution Input: it has more than "
            f"{LONGEST_PAYLOAD} bytes"
        )


def _summary(execution: Execution) -> dict[str, Any]:
    told = {
        "executionArn": execution.arn,
        "stateMachineArn": execution.machine.arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": execution.started,
    }
    if execution.stopped is not None:
        told["stopDate"] = execution.stopped
    return told


def _page(request: Moto, name: str, items: list[Any]) -> dict[str, Any]:
    """Give one page of a list; a token is the position of the next."""
    size = min(int(request._get_param("maxResults") or _PAGE), _LONGEST_PAGE)
    token = request._get_param("nextToken") or "0"
    if not token.isdigit():
        raise ValidationException(f"nextToken {token!r} is not one of ours")
    end = int(token) + size
    page: dict[str, Any] = {name: items[int(token) : end]}
    if end < len(items):
        page["nextToken"] = str(end)
    return page
