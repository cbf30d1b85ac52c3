"""Finds a deployed pipeline: by its stack, or by its state machine."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError

from cdk_personalize_segments._runtime import arns, locations
from cdk_personalize_segments.cli.account import Account
from cdk_personalize_segments.cli.errors import CliError, UsageError, code, is_not_found

# The construct writes this into the description of its output.
_OUTPUT: Final = "cdk-personalize-segments: the state machine of the pipeline "
_NULL: Final = "{% null %}"


class Wanted(NamedTuple):
    """What the user says of the pipeline that is meant.

    Attributes:
        stack: The stack's name.
        pipeline: The pipeline's path in the app, or a part of it.
        state_machine: The ARN of its state machine.
    """

    stack: str | None = None
    pipeline: str | None = None
    state_machine: str | None = None


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A deployed pipeline.

    Attributes:
        account: The account and Region that it is in.
        name: Its path in the app, or its state machine's name.
        state_machine_arn: Its state machine.
        places: Its buckets and prefixes.
        service_role_arn: The role that Personalize assumes.
        defaults: What its runs use where their input says nothing; with tags, which
            are never printed.
        functions: The ARNs of its functions, with their versions.
    """

    account: Account
    name: str
    state_machine_arn: str
    places: locations.Locations
    service_role_arn: str
    defaults: Mapping[str, Any]
    functions: tuple[str, ...]

    def run_of(self, execution: Mapping[str, Any]) -> str:
        """Return the name of an execution's run.

        Args:
            execution: The execution, as Step Functions starts, lists or describes it.
        """
        started = execution["startDate"].astimezone(UTC).isoformat()
        return locations.run_name(
            self.places.run_prefix, execution["executionArn"], started
        )

    def job_arn(self, job_name: str) -> str:
        """Return the ARN of a job in the pipeline's account and Region."""
        fields = self.state_machine_arn.split(":")
        return arns.job_arn(
            ":".join([*fields[:2], "personalize", *fields[3:5]]), job_name
        )

    def is_own_job(self, job_name: str) -> bool:
        """Tell whether a job was started by the pipeline."""
        return job_name.startswith(f"{self.places.run_prefix}-")


class _Found(NamedTuple):
    stack: str
    path: str
    state_machine_arn: str

    def __str__(self) -> str:
        return f"{self.path} (stack {self.stack})"


def find(account: Account, wanted: Wanted) -> Pipeline:
    """Find the pipeline that is meant; the only one there is if nothing is said.

    Args:
        account: Where to look.
        wanted: What the user says.

    Raises:
        CliError: There is none, or several; says which.
    """
    if wanted.state_machine and (wanted.stack or wanted.pipeline):
        raise UsageError(
            "Give either --state-machine or --stack and --pipeline, not both (each may "
            "come from a variable of the environment, too)."
        )
    if wanted.state_machine:
        region = _region_of(wanted.state_machine)
        name = wanted.state_machine.rpartition(":")[2]
        return _load(account.in_region(region), name, wanted.state_machine)
    found = list(_outputs(account, wanted.stack))
    one = _choose(account, found, wanted)
    return _load(account, one.path, one.state_machine_arn)


def _region_of(state_machine_arn: str) -> str:
    arn = arns.parse(state_machine_arn)
    if arn is None or arn.service != "states" or "stateMachine:" not in arn.resource:
        raise CliError(
            "--state-machine must be the ARN of a state machine, like "
            "arn:aws:states:REGION:ACCOUNT:stateMachine:NAME, got "
            f"{state_machine_arn!r}."
        )
    return arn.region


def _outputs(account: Account, stack: str | None) -> Iterator[_Found]:
    paginator = account.cloudformation.get_paginator("describe_stacks")
    pages = paginator.paginate(StackName=stack) if stack else paginator.paginate()
    try:
        for page in pages:
            for each in page["Stacks"]:
                for output in each.get("Outputs", []):
                    description = output.get("Description", "")
                    if description.startswith(_OUTPUT):
                        yield _Found(
                            each["StackName"],
                            description.removeprefix(_OUTPUT),
                            output["OutputValue"],
                        )
    except ClientError as error:
        if stack and code(error) == "ValidationError":
            raise CliError(
                f"There is no stack {stack!r} in {account.region} of this account; "
                "correct --stack, or name another --region or --profile."
            ) from None
        raise


def _choose(account: Account, found: list[_Found], wanted: Wanted) -> _Found:
    where = f"the stack {wanted.stack!r}" if wanted.stack else account.region
    if not found:
        raise CliError(
            f"There is no BatchSegmentPipeline in {where} of this account; deploy one, "
            "or name another --stack, --region or --profile."
        )
    matching = found
    if wanted.pipeline:
        part = wanted.pipeline
        matching = [each for each in found if each.path == part] or [
            each for each in found if part in each.path
        ]
    if len(matching) == 1:
        return matching[0]
    if not matching:
        raise CliError(
            f"No pipeline in {where} is called {wanted.pipeline!r}; there are: "
            f"{_listed(found)}."
        )
    raise CliError(
        f"There are several pipelines in {where}; choose one with "
        f"{'' if wanted.stack else '--stack and '}--pipeline: {_listed(matching)}."
    )


def _listed(found: list[_Found]) -> str:
    return ", ".join(sorted(map(str, found)))


def _load(account: Account, name: str, state_machine_arn: str) -> Pipeline:
    try:
        machine = account.step_functions.describe_state_machine(
            stateMachineArn=state_machine_arn
        )
    except ClientError as error:
        if is_not_found(error):
            raise CliError(
                f"There is no state machine {state_machine_arn} in this account."
            ) from None
        raise
    try:
        states = json.loads(machine["definition"])["States"]
        prepare = states["Prepare input"]["Arguments"]
        defaults = prepare["Payload"]["defaults"]
        environment = _environment(account, prepare["FunctionName"])
        return Pipeline(
            account=account,
            name=name,
            state_machine_arn=state_machine_arn,
            places=locations.Locations(environment),
            service_role_arn=environment["SERVICE_ROLE_ARN"],
            defaults={
                key: None if value == _NULL else value
                for key, value in defaults.items()
            },
            functions=tuple(sorted(set(_functions(states)))),
        )
    except KeyError:
        raise CliError(
            f"The state machine {state_machine_arn} is not one that a "
            "BatchSegmentPipeline of this version defines."
        ) from None


def _environment(account: Account, function_arn: str) -> dict[str, str]:
    configuration = account.functions.get_function_configuration(
        FunctionName=function_arn
    )
    return dict(configuration.get("Environment", {}).get("Variables", {}))


def _functions(states: Mapping[str, Any]) -> Iterator[str]:
    for state in states.values():
        if state["Type"] == "Task":
            yield state["Arguments"]["FunctionName"]
        elif state["Type"] == "Map":
            yield from _functions(state["ItemProcessor"]["States"])
