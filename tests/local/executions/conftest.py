"""State machines and functions in the local AWS."""

import io
import itertools
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from cdk_personalize_segments.local import Execution, LocalAws

_names = itertools.count()
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
    ],
}


def new_name(kind: str) -> str:
    return f"{kind}-{next(_names)}"


@pytest.fixture(scope="session")
def zipped() -> Callable[..., bytes]:
    """Zip files, given as path: text."""
    return _zipped


def _zipped(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return buffer.getvalue()


@dataclass
class Machine:
    """A state machine, and what its users do with it."""

    aws: LocalAws
    arn: str

    @property
    def client(self) -> Any:
        return self.aws.client("stepfunctions")

    @property
    def name(self) -> str:
        return self.arn.rpartition(":")[2]

    def describe(self, execution_arn: str) -> Any:
        return self.client.describe_execution(executionArn=execution_arn)

    def history(self, execution_arn: str, **options: Any) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("get_execution_history").paginate(
            executionArn=execution_arn, **options
        )
        return [event for page in pages for event in page["events"]]

    def wait(self, execution_arn: str) -> Any:
        """Wait for an execution's end, and describe it."""
        give_up = time.monotonic() + 30
        while (told := self.describe(execution_arn))["status"] == "RUNNING":
            assert time.monotonic() < give_up
            time.sleep(0.01)
        return told

    def run(self, value: object = None) -> Execution:
        return self.aws.run(self.arn, value)

    def start(self, value: object = None, name: str | None = None) -> str:
        named = {} if name is None else {"name": name}
        started = self.client.start_execution(
            stateMachineArn=self.arn, input=json.dumps(value or {}), **named
        )
        return str(started["executionArn"])


@pytest.fixture(scope="session")
def role(local_aws: LocalAws) -> Callable[..., str]:
    """Make roles that may do what is said."""

    def make(*statements: Mapping[str, Any]) -> str:
        name = new_name("role")
        iam = local_aws.client("iam")
        made = iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST)
        )
        if statements:
            policy = {"Version": "2012-10-17", "Statement": list(statements)}
            iam.put_role_policy(
                RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy)
            )
        return str(made["Role"]["Arn"])

    return make


@pytest.fixture(scope="session")
def machine_role(role: Callable[..., str]) -> str:
    actions = ["lambda:InvokeFunction", "logs:*"]
    return role({"Effect": "Allow", "Action": actions, "Resource": "*"})


@pytest.fixture(scope="session")
def logging_role(role: Callable[..., str]) -> str:
    return role({"Effect": "Allow", "Action": "logs:*", "Resource": "*"})


@pytest.fixture(scope="session")
def machine(local_aws: LocalAws, machine_role: str) -> Callable[..., Machine]:
    """Make state machines of states, the first of which is the start."""

    def make(
        states: Mapping[str, Any],
        *,
        role_arn: str = machine_role,
        settings: Mapping[str, Any] | None = None,
        name: str | None = None,
        **fields: Any,
    ) -> Machine:
        made = local_aws.client("stepfunctions").create_state_machine(
            name=name or new_name("machine"),
            definition=define(states, **fields),
            roleArn=role_arn,
            **(settings or {}),
        )
        return Machine(local_aws, made["stateMachineArn"])

    return make


@pytest.fixture(scope="session")
def endless(machine: Callable[..., Machine]) -> Machine:
    """A machine whose executions end with the longest history there is."""
    return machine(
        {
            "One": {"Type": "Pass", "Next": "Two"},
            "Two": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% false %}", "Next": "End"}],
                "Default": "One",
            },
            "End": {"Type": "Succeed"},
        }
    )


def define(states: Mapping[str, Any], **fields: Any) -> str:
    return json.dumps(
        {
            "QueryLanguage": "JSONata",
            "StartAt": next(iter(states)),
            "States": states,
            **fields,
        }
    )


@pytest.fixture(scope="session")
def task() -> Callable[..., dict[str, Any]]:
    """Give Task states that invoke a function with their input."""

    def make(function: str, **fields: Any) -> dict[str, Any]:
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": function, "Payload": "{% $states.input %}"},
            "Output": "{% $states.result.Payload %}",
            **({} if "Next" in fields else {"End": True}),
            **fields,
        }

    return make


@dataclass
class Function:
    """A function, and what its users do with it."""

    aws: LocalAws
    name: str

    @property
    def client(self) -> Any:
        return self.aws.client("lambda")

    def publish(self) -> str:
        return str(self.client.publish_version(FunctionName=self.name)["FunctionArn"])

    def invoke(
        self, event: object = None, name: str | None = None, **options: Any
    ) -> Any:
        answer = self.client.invoke(
            FunctionName=name or self.name,
            Payload=json.dumps({} if event is None else event),
            **options,
        )
        answer["Payload"] = json.loads(answer["Payload"].read() or "null")
        return answer


@pytest.fixture(scope="session")
def function(local_aws: LocalAws, logging_role: str) -> Callable[..., Function]:
    """Make functions of the source of a module with a `handler`."""

    def make(source: str, **settings: Any) -> Function:
        name = new_name("function")
        settings = {
            "Role": settings.pop("Role", None) or logging_role,
            "Runtime": "python3.14",
            "Handler": "index.handler",
            "Code": {"ZipFile": _zipped({"index.py": source})},
            **settings,
        }
        local_aws.client("lambda").create_function(FunctionName=name, **settings)
        return Function(local_aws, name)

    return make
