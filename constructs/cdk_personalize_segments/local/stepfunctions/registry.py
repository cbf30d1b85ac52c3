"""All executions and Map Runs of a local AWS."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from moto.stepfunctions.exceptions import (
    ExecutionAlreadyExists,
    ExecutionDoesNotExist,
    InvalidExecutionInput,
    ResourceNotFound,
)
from moto.stepfunctions.models import stepfunctions_backends

from cdk_personalize_segments.local.cloudwatch.services import execution_changed
from cdk_personalize_segments.local.stepfunctions.access import Access
from cdk_personalize_segments.local.stepfunctions.definition import parse
from cdk_personalize_segments.local.stepfunctions.execution import Execution, Machine
from cdk_personalize_segments.local.stepfunctions.ids import new_uuid
from cdk_personalize_segments.local.stepfunctions.json_texts import read_json
from cdk_personalize_segments.local.stepfunctions.map_runs import MapRun
from cdk_personalize_segments.local.stepfunctions.scopes import LONGEST_PAYLOAD
from cdk_personalize_segments.local.stepfunctions.surroundings import (
    ExecutionSurroundings,
)
from cdk_personalize_segments.local.stepfunctions.tokens import Tokens
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

KEPT_FOR: Final = timedelta(days=90)
"""How long after its end an execution is known, and its name taken."""


class Registry:
    """All executions and Map Runs.

    Attributes:
        tokens: The task tokens of their tasks.
    """

    def __init__(self, aws: "LocalAws") -> None:
        """Begin without executions.

        Args:
            aws: The local AWS.
        """
        self.tokens = Tokens()
        self._aws = aws
        self._by_arn: dict[str, Execution] = {}
        self._map_runs: dict[str, MapRun] = {}
        self._processors: dict[str, Mapping[str, Any]] = {}
        self._access: dict[tuple[str, str], Access] = {}
        self._starting = threading.Lock()
        self._names = aws.chance("names of executions")
        self._starts: Counter[str] = Counter()

    def start(self, machine_arn: str, name: str | None, text: str) -> Execution:
        """Start an execution, or find the one that a name stands for already.

        Args:
            machine_arn: The state machine, or a version of it.
            name: A name for it, or None.
            text: Its input, as JSON text.

        Raises:
            AWSError: There is no such machine, the input is unusable, or the name
                stands for another execution.
        """
        region = (machine_arn.split(":") + [""] * 4)[3] or self._aws.region
        backend = stepfunctions_backends[self._aws.account_id][region]
        machine = backend.describe_state_machine(machine_arn)
        _check_input(text)
        if name:
            backend._validate_name(name)
        with self._starting:
            name = name or new_uuid(self._names)
            arn = f"{_execution_arn(machine)}:{name}"
            execution = self._known(arn)
            if execution is None:
                return self._start(arn, name, _machine(machine), text)
        if execution.status != "RUNNING" or execution.input != text:
            raise ExecutionAlreadyExists(f"Execution Already Exists: '{arn}'")
        return execution

    def start_child(self, run: MapRun, name: str, text: str) -> Execution:
        """Start a child execution of a Map Run.

        Args:
            run: The Map Run.
            name: Its name.
            text: Its input, as JSON text.
        """
        parent = run.parent.machine
        machine = replace(
            parent,
            arn=f"{parent.arn}/{run.label}",
            name=f"{parent.name}/{run.label}",
            states=self._processors[run.arn],
            label=run.label,
        )
        arn = parent.arn.replace(":stateMachine:", ":execution:")
        return self._start(f"{arn}/{run.label}:{name}", name, machine, text, run.arn)

    def _start(
        self,
        arn: str,
        name: str,
        machine: Machine,
        text: str,
        map_run_arn: str | None = None,
    ) -> Execution:
        self._starts[arn] += 1
        execution = Execution(
            arn=arn,
            name=name,
            machine=machine,
            text=text,
            clock=self._aws.clock,
            start_number=self._starts[arn],
            on_status=self._status_changed,
            map_run_arn=map_run_arn,
        )
        self._by_arn[arn] = execution
        execution.start(ExecutionSurroundings(self._aws, self, execution))
        return execution

    def _status_changed(self, execution: Execution) -> None:
        execution_changed(self._aws.metrics, execution)
        self._aws.events.status_changed(execution)

    def access(self, role_arn: str, region: str) -> Access:
        """Tell what a role may do in a Region; its clients are shared.

        Args:
            role_arn: The role.
            region: The Region.
        """
        key = (role_arn, region)
        if key not in self._access:
            self._access[key] = Access(self._aws, role_arn, region)
        return self._access[key]

    def find(self, arn: str) -> Execution:
        """Give an execution.

        Args:
            arn: Its ARN.

        Raises:
            AWSError: There is none.
        """
        execution = self._known(arn)
        if execution is None:
            raise ExecutionDoesNotExist(f"Execution Does Not Exist: '{arn}'")
        return execution

    def _known(self, arn: str) -> Execution | None:
        execution = self._by_arn.get(arn)
        return None if execution is None or self._is_over(execution) else execution

    def _is_over(self, execution: Execution) -> bool:
        stopped = execution.stopped
        return stopped is not None and self._aws.clock.now() - stopped > KEPT_FOR

    def newest_first(self) -> list[Execution]:
        """Give all executions, those that started last first."""
        known = [
            each for each in list(self._by_arn.values()) if not self._is_over(each)
        ]
        # Of those of the same instant, too.
        known.reverse()
        known.sort(key=lambda each: each.started, reverse=True)
        return known

    def forget(self, machine_arn: str) -> None:
        """Abort the executions of a machine, which go with it, and free their names.

        Args:
            machine_arn: The machine.
        """
        for execution in list(self._by_arn.values()):
            if execution.machine.arn.split("/")[0] == machine_arn:
                self.abort(execution, None, None)
                self._by_arn.pop(execution.arn, None)
        for run in list(self._map_runs.values()):
            if run.parent.machine.arn == machine_arn:
                del self._map_runs[run.arn], self._processors[run.arn]

    def abort(self, execution: Execution, error: str | None, cause: str | None) -> None:
        """Stop an execution, if it has not ended; not from the clock.

        Args:
            execution: The execution.
            error: The name of an error to end with, if any.
            cause: What the error says.
        """

        async def abort() -> None:
            execution.abort(error, cause)

        self._aws.clock.start(abort()).result()

    def add_map_run(self, run: MapRun, processor: Mapping[str, Any]) -> None:
        """Make a Map Run known.

        Args:
            run: The Map Run.
            processor: What its child executions run.
        """
        self._map_runs[run.arn] = run
        self._processors[run.arn] = processor

    def map_run(self, arn: str) -> MapRun:
        """Give a Map Run.

        Args:
            arn: Its ARN.

        Raises:
            AWSError: There is none.
        """
        if arn not in self._map_runs:
            raise ResourceNotFound(f"Map Run Does Not Exist: '{arn}'")
        return self._map_runs[arn]

    def map_runs_of(self, execution: Execution) -> list[MapRun]:
        """Give the Map Runs of an execution, in the order of their starts.

        Args:
            execution: The execution.
        """
        return [run for run in list(self._map_runs.values()) if run.parent is execution]


def _machine(machine: Moto) -> Machine:
    # Of a version, the machine that it is of.
    arn = getattr(machine, "source_arn", machine.arn)
    return Machine(
        arn=arn,
        name=machine.name,
        role_arn=machine.roleArn,
        definition=machine.definition,
        states=parse(machine.definition),
        logging=machine.loggingConfiguration,
        tracing=machine.tracingConfiguration,
        updated=machine.update_date,
        version=None if arn == machine.arn else machine.arn,
    )


def _execution_arn(machine: Moto) -> str:
    arn: str = getattr(machine, "source_arn", machine.arn)
    return arn.replace(":stateMachine:", ":execution:")


def _check_input(text: str) -> None:
    try:
        read_json(text)
    except ValueError as error:
        raise InvalidExecutionInput(
            f"Invalid State Machine Execution Input: '{error}'"
        ) from None
    if len(text.encode()) > LONGEST_PAYLOAD:
        raise InvalidExecutionInput(
            "Invalid State Machine Execution Input: it has more than "
            f"{LONGEST_PAYLOAD} bytes"
        )
