"""Queues, topics, rules and roles of tests in the local AWS."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cdk_personalize_segments.local import LocalAws

_names = itertools.count()


def new_name(kind: str) -> str:
    return f"events-{kind}-{next(_names)}"


def allowing(
    service: str | list[str], action: str, resource: str, **condition: Any
) -> dict[str, Any]:
    """Write a policy that lets services do something."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": action,
        "Resource": resource,
    }
    if condition:
        statement["Condition"] = condition
    return {"Version": "2012-10-17", "Statement": [statement]}


@dataclass(frozen=True)
class Received:
    """A message that was in a queue."""

    body: Any
    attributes: Mapping[str, str]
    sent: datetime


@dataclass(frozen=True)
class Queue:
    """A queue, and what is in it."""

    aws: LocalAws
    url: str

    @property
    def client(self) -> Any:
        return self.aws.client("sqs")

    @property
    def arn(self) -> str:
        return str(self.attributes()["QueueArn"])

    def attributes(self) -> Any:
        return self.client.get_queue_attributes(
            QueueUrl=self.url, AttributeNames=["All"]
        )["Attributes"]

    def set(self, **attributes: Any) -> None:
        self.client.set_queue_attributes(
            QueueUrl=self.url,
            Attributes={
                name: value if isinstance(value, str) else json.dumps(value)
                for name, value in attributes.items()
            },
        )

    def allow(self, service: str | list[str], **condition: Any) -> None:
        self.set(Policy=allowing(service, "sqs:SendMessage", self.arn, **condition))

    def take(self) -> list[Received]:
        """Take all messages out, when all that is due has happened."""
        self.aws.clock.settle()
        taken = []
        while found := self.client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=10,
            AttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        ).get("Messages"):
            for each in found:
                sent = int(each["Attributes"]["SentTimestamp"])
                taken.append(
                    Received(
                        json.loads(each["Body"]),
                        {
                            name: value["StringValue"]
                            for name, value in each.get("MessageAttributes", {}).items()
                        },
                        datetime.fromtimestamp(sent / 1000, UTC),
                    )
                )
                self.client.delete_message(
                    QueueUrl=self.url, ReceiptHandle=each["ReceiptHandle"]
                )
        return taken


@pytest.fixture(autouse=True)
def whole_second(request: pytest.FixtureRequest) -> None:
    """Begin at a whole second, wherever other tests have left the clock."""
    if "aws" in request.fixturenames:
        clock = request.getfixturevalue("aws").clock
        clock.advance_to(clock.now().replace(microsecond=0) + timedelta(seconds=1))


@pytest.fixture(scope="session")
def new_queue(aws: LocalAws) -> Callable[..., Queue]:
    def make(*services: str, **attributes: str) -> Queue:
        created = aws.client("sqs").create_queue(
            QueueName=new_name("queue"), Attributes=attributes
        )
        queue = Queue(aws, created["QueueUrl"])
        if services:
            queue.allow(list(services))
        return queue

    return make


@dataclass(frozen=True)
class Rule:
    """A rule."""

    aws: LocalAws
    name: str
    arn: str

    def target(self, arn: str, **settings: Any) -> None:
        self.aws.client("events").put_targets(
            Rule=self.name, Targets=[{"Id": "only", "Arn": arn, **settings}]
        )


@pytest.fixture
def new_rule(aws: LocalAws) -> Iterator[Callable[..., Rule]]:
    client, made = aws.client("events"), []

    def make(**settings: Any) -> Rule:
        if isinstance(settings.get("EventPattern"), dict):
            settings["EventPattern"] = json.dumps(settings["EventPattern"])
        name = new_name("rule")
        arn = client.put_rule(Name=name, **settings)["RuleArn"]
        made.append(name)
        return Rule(aws, name, arn)

    yield make
    for name in made:
        client.remove_targets(Rule=name, Ids=["only"])
        client.delete_rule(Name=name)


@pytest.fixture(scope="session")
def new_role(aws: LocalAws) -> Callable[..., str]:
    """Make a role that a service may assume, with some actions on everything."""

    def make(service: str, *actions: str, **condition: Any) -> str:
        client, name = aws.client("iam"), new_name("role")
        trust = allowing(service, "sts:AssumeRole", "", **condition)
        del trust["Statement"][0]["Resource"]
        role = client.create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps(trust)
        )["Role"]["Arn"]
        if actions:
            statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
            client.put_role_policy(
                RoleName=name,
                PolicyName="only",
                PolicyDocument=json.dumps(
                    {"Version": "2012-10-17", "Statement": [statement]}
                ),
            )
        return str(role)

    return make


@pytest.fixture(scope="session")
def new_machine(
    aws: LocalAws, new_role: Callable[..., str]
) -> Callable[[Mapping[str, Any]], str]:
    """Make a state machine of one state."""

    def make(state: Mapping[str, Any], **settings: Any) -> str:
        definition = {
            "QueryLanguage": "JSONata",
            "StartAt": "Only",
            "States": {"Only": state},
            **settings,
        }
        created = aws.client("stepfunctions").create_state_machine(
            name=new_name("machine"),
            roleArn=new_role("states.amazonaws.com"),
            definition=json.dumps(definition),
        )
        return str(created["stateMachineArn"])

    return make


def executions(aws: LocalAws, machine: str) -> list[Any]:
    """List a machine's executions, oldest first, with their input."""
    client = aws.client("stepfunctions")
    listed = client.list_executions(stateMachineArn=machine)["executions"]
    told = [client.describe_execution(executionArn=e["executionArn"]) for e in listed]
    return sorted(told, key=lambda each: each["startDate"])
