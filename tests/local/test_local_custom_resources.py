"""Custom resources: what functions are asked, and what their answers do."""

import json
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from cdk_personalize_segments.local import LocalAws

# Answers as it is told to, and says what it was asked in its physical id's data.
CODE = """
import json
import cfnresponse

def handler(event, context):
    given = event["ResourceProperties"]
    own = given.get("Id", event.get("PhysicalResourceId", "none"))
    if event["RequestType"] == "Delete":
        own = event["PhysicalResourceId"]
        print("deleted", own)
    if given.get("Silent"):
        return
    told = {key: event.get(key) for key in ("RequestType", "ResourceType",
        "LogicalResourceId", "PhysicalResourceId", "OldResourceProperties")}
    told["Given"] = given.get("Value")
    status = cfnresponse.FAILED if given.get("Fail") else cfnresponse.SUCCESS
    cfnresponse.send(event, context, status, {"Told": json.dumps(told),
        "Upper": str(given.get("Value")).upper()}, own, reason=given.get("Fail"))
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "lambda.amazonaws.com"},
        }
    ],
}


class Stack:
    """A stack with one custom resource."""

    def __init__(self, aws: LocalAws, token: str) -> None:
        self.client = aws.client("cloudformation")
        self.name = f"test-{uuid.uuid4().hex[:8]}"
        self._token = token
        self._exists = False

    def deploy(self, properties: Mapping[str, Any]) -> str:
        """Create or update it, and give its status."""
        thing = {
            "Type": "Custom::Thing",
            "Properties": {"ServiceToken": self._token, **properties},
        }
        outputs = {
            name: {"Value": {"Fn::GetAtt": ["Thing", name]}}
            for name in ("Told", "Upper")
        }
        outputs["Ref"] = {"Value": {"Ref": "Thing"}}
        body = json.dumps({"Resources": {"Thing": thing}, "Outputs": outputs})
        act = self.client.update_stack if self._exists else self.client.create_stack
        act(StackName=self.name, TemplateBody=body)
        self._exists = True
        return self._describe()["StackStatus"]

    def outputs(self) -> dict[str, str]:
        return {
            each["OutputKey"]: each["OutputValue"]
            for each in self._describe()["Outputs"]
        }

    def failure(self) -> str:
        events = self.client.describe_stack_events(StackName=self.name)["StackEvents"]
        return next(
            each["ResourceStatusReason"]
            for each in events
            if each["ResourceStatus"] in ("CREATE_FAILED", "UPDATE_FAILED")
        )

    def _describe(self) -> dict[str, Any]:
        return self.client.describe_stacks(StackName=self.name)["Stacks"][0]


@pytest.fixture(scope="module")
def token(aws: LocalAws) -> str:
    """The ARN of a function that makes custom resources."""
    name = "custom-resources"
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}],
    }
    role = {
        "AssumeRolePolicyDocument": TRUST,
        "Policies": [{"PolicyName": "Logs", "PolicyDocument": policy}],
    }
    function = {
        "Code": {"ZipFile": CODE},
        "FunctionName": name,
        "Handler": "index.handler",
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        "Runtime": "python3.13",
        "Timeout": 30,
    }
    template = {
        "Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": role},
            "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
        }
    }
    aws.client("cloudformation").create_stack(
        StackName=name, TemplateBody=json.dumps(template)
    )
    found = aws.client("lambda").get_function(FunctionName=name)
    return str(found["Configuration"]["FunctionArn"])


@pytest.fixture
def stack(aws: LocalAws, token: str) -> Stack:
    return Stack(aws, token)


def deleted(aws: LocalAws) -> list[str]:
    """Give the physical ids that the function was asked to delete, in order."""
    found = aws.client("logs").filter_log_events(
        logGroupName="/aws/lambda/custom-resources"
    )["events"]
    return [
        each["message"].split()[1]
        for each in found
        if each["message"].startswith("deleted ")
    ]


@pytest.mark.bridge("cdk_personalize_segments.local.custom_responses")
@pytest.mark.emulates("AWS::CloudFormation::CustomResource")
def test_a_custom_resource_is_made_changed_replaced_and_deleted(
    aws: LocalAws, stack: Stack
) -> None:
    own = f"{stack.name}-1"
    assert stack.deploy({"Id": own, "Value": 7}) == "CREATE_COMPLETE"
    outputs = stack.outputs()
    assert (outputs["Ref"], outputs["Upper"]) == (own, "7")
    assert json.loads(outputs["Told"]) == {
        "RequestType": "Create",
        "ResourceType": "Custom::Thing",
        "LogicalResourceId": "Thing",
        "PhysicalResourceId": None,
        "OldResourceProperties": None,
        # As in AWS, numbers and truth values arrive as text.
        "Given": "7",
    }
    assert stack.deploy({"Id": own, "Value": True}) == "UPDATE_COMPLETE"
    outputs = stack.outputs()
    assert (outputs["Ref"], outputs["Upper"]) == (own, "TRUE")
    told = json.loads(outputs["Told"])
    assert (told["RequestType"], told["PhysicalResourceId"]) == ("Update", own)
    assert told["OldResourceProperties"]["Value"] == "7"
    assert own not in deleted(aws)

    other = f"{stack.name}-2"
    assert stack.deploy({"Id": other, "Value": "b"}) == "UPDATE_COMPLETE"
    assert stack.outputs()["Ref"] == other
    assert deleted(aws)[-1] == own
    stack.client.delete_stack(StackName=stack.name)
    assert deleted(aws)[-1] == other


def test_a_failed_answer_rolls_back_with_its_reason(
    aws: LocalAws, stack: Stack
) -> None:
    own = f"{stack.name}-1"
    stack.deploy({"Id": own, "Value": "a"})
    status = stack.deploy({"Id": own, "Value": "b", "Fail": "no room"})
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.failure() == (
        "Received response status [FAILED] from custom resource. Message returned: "
        "no room"
    )
    assert stack.outputs()["Upper"] == "A"


def test_a_function_that_does_not_answer_times_out_in_virtual_time(
    aws: LocalAws, stack: Stack
) -> None:
    began = aws.clock.now()
    status = stack.deploy({"Silent": True, "ServiceTimeout": 600})
    assert status == "ROLLBACK_COMPLETE"
    assert "did not receive a response" in stack.failure()
    assert aws.clock.now() - began == timedelta(seconds=600)


def test_a_custom_resource_of_a_topic_is_refused(aws: LocalAws) -> None:
    stack = Stack(aws, "arn:aws:sns:us-east-1:123456789012:things")
    assert stack.deploy({}) == "ROLLBACK_COMPLETE"
    assert "of Lambda functions only" in stack.failure()
