"""Functions and their versions, made by stacks."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from cdk_personalize_segments.local import LocalAws

ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                }
            ],
        }
    },
}


class Functions:
    """A stack with one function, whose code is a number."""

    def __init__(self, aws: LocalAws) -> None:
        self.stacks = aws.client("cloudformation")
        self.client = aws.client("lambda")
        self.name = f"test-{uuid.uuid4().hex[:8]}"

    def deploy(
        self, code: int, versions: Mapping[str, Any] | None = None, **properties: Any
    ) -> str:
        """Create or update the stack, and return its status."""
        function = {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Code": {
                    "ZipFile": f"def handler(event, context):\n    return {code}\n"
                },
                "Handler": "index.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Runtime": "python3.14",
                **properties,
            },
        }
        declared = {
            name: {
                "Type": "AWS::Lambda::Version",
                "DeletionPolicy": "Retain",
                "Properties": {"FunctionName": {"Ref": "Function"}},
                **(declaration or {}),
            }
            for name, declaration in (versions or {}).items()
        }
        outputs = {name: {"Value": {"Ref": name}} for name in declared}
        body = json.dumps(
            {
                "Resources": {"Role": ROLE, "Function": function, **declared},
                "Outputs": outputs,
            }
        )
        if self._exists():
            self.stacks.update_stack(StackName=self.name, TemplateBody=body)
        else:
            self.stacks.create_stack(StackName=self.name, TemplateBody=body)
        return self._describe()["StackStatus"]

    def outputs(self) -> dict[str, str]:
        return {
            each["OutputKey"]: each["OutputValue"]
            for each in self._describe().get("Outputs", [])
        }

    def function(self) -> str:
        return self.stacks.describe_stack_resource(
            StackName=self.name, LogicalResourceId="Function"
        )["StackResourceDetail"]["PhysicalResourceId"]

    def configuration(self, qualifier: str = "$LATEST") -> dict[str, Any]:
        return self.client.get_function_configuration(
            FunctionName=self.function(), Qualifier=qualifier
        )

    def versions(self) -> dict[str, str]:
        """Return the published versions and the hashes of their code."""
        found = self.client.list_versions_by_function(FunctionName=self.function())
        return {
            each["Version"]: each["CodeSha256"]
            for each in found["Versions"]
            if each["Version"] != "$LATEST"
        }

    def failures(self) -> list[str]:
        events = self.stacks.describe_stack_events(StackName=self.name)["StackEvents"]
        return [
            event["ResourceStatusReason"]
            for event in events
            if event["ResourceStatus"] in ("CREATE_FAILED", "UPDATE_FAILED")
        ]

    def _describe(self) -> dict[str, Any]:
        return self.stacks.describe_stacks(StackName=self.name)["Stacks"][0]

    def _exists(self) -> bool:
        found = self.stacks.describe_stacks()["Stacks"]
        return any(each["StackName"] == self.name for each in found)


@pytest.fixture
def functions(local_aws: LocalAws) -> Functions:
    return Functions(local_aws)


SETTINGS = {
    "Architectures": ["arm64"],
    "Description": "Returns a number",
    "Environment": {"Variables": {"BUCKET": "data"}},
    "EphemeralStorage": {"Size": 1024},
    "LoggingConfig": {
        "ApplicationLogLevel": "DEBUG",
        "LogFormat": "JSON",
        "LogGroup": "shared",
        "SystemLogLevel": "WARN",
    },
    "MemorySize": 512,
    "Timeout": 900,
    "TracingConfig": {"Mode": "Active"},
}
DEFAULTS = {
    "Architectures": ["x86_64"],
    "Description": "",
    "EphemeralStorage": {"Size": 512},
    "MemorySize": 128,
    "Timeout": 3,
    "TracingConfig": {"Mode": "PassThrough"},
}


def _read(functions: Functions, names: Mapping[str, Any]) -> dict[str, Any]:
    configuration = functions.configuration()
    return {name: configuration[name] for name in names}


@pytest.mark.bridge(
    "moto.awslambda.models.LambdaFunction.__init__",
    "moto.awslambda.models.LambdaFunction.get_configuration",
)
def test_settings_are_read_back(functions: Functions) -> None:
    tags = [{"Key": "team", "Value": "growth"}]
    functions.deploy(1, **SETTINGS, Tags=tags)
    assert _read(functions, SETTINGS) == SETTINGS
    assert functions.client.get_function(FunctionName=functions.function())["Tags"] == {
        "team": "growth"
    }


@pytest.mark.bridge("moto.awslambda.models.LambdaFunction.update_configuration")
def test_settings_change_and_fall_back_to_the_defaults(functions: Functions) -> None:
    functions.deploy(1)
    assert _read(functions, DEFAULTS) == DEFAULTS
    functions.deploy(1, **SETTINGS)
    assert _read(functions, SETTINGS) == SETTINGS
    functions.deploy(1)
    assert _read(functions, DEFAULTS) == DEFAULTS
    assert functions.configuration()["LoggingConfig"] == {
        "LogFormat": "Text",
        "LogGroup": f"/aws/lambda/{functions.function()}",
    }
    assert "Environment" not in functions.configuration()


def test_functions_that_cannot_run_here_are_refused(functions: Functions) -> None:
    assert functions.deploy(1, Runtime="nodejs24.x") == "ROLLBACK_COMPLETE"
    (reason,) = functions.failures()
    assert "in Python only, not nodejs24.x" in reason
    assert "auto_delete_objects" in reason


def test_versions_are_retained_and_going_back_makes_a_new_one(
    functions: Functions,
) -> None:
    for code, name in ((1, "CodeOne"), (2, "CodeTwo"), (1, "CodeOne")):
        status = functions.deploy(code, {name: None})
        assert status.endswith("_COMPLETE"), functions.failures()
        arn = functions.client.get_function_configuration(
            FunctionName=functions.function()
        )["FunctionArn"]
        newest = max(functions.versions(), key=int)
        assert functions.outputs() == {name: f"{arn}:{newest}"}
    hashes = functions.versions()
    assert list(hashes) == ["1", "2", "3"]
    assert hashes["1"] == hashes["3"] != hashes["2"]


def test_a_version_keeps_its_configuration(functions: Functions) -> None:
    functions.deploy(1, {"One": None}, **SETTINGS)
    functions.deploy(2, {"Two": None})
    assert functions.configuration("1")["LoggingConfig"] == SETTINGS["LoggingConfig"]
    assert functions.configuration("1")["MemorySize"] == 512
    assert functions.configuration("2")["MemorySize"] == 128


def test_a_version_without_a_change_is_refused(functions: Functions) -> None:
    functions.deploy(1, {"One": None})
    assert functions.deploy(1, {"One": None, "Two": None}) == "UPDATE_ROLLBACK_COMPLETE"
    assert functions.failures() == [
        "A version for this Lambda function exists ( 1 ). Modify the function to "
        "create a new version."
    ]


@pytest.mark.bridge("moto.awslambda.models.LambdaStorage.publish_version")
def test_numbers_of_deleted_versions_are_not_used_again(functions: Functions) -> None:
    delete = {"DeletionPolicy": "Delete"}
    functions.deploy(1, {"One": delete})
    functions.deploy(2, {"Two": delete})
    assert list(functions.versions()) == ["2"]
    functions.deploy(3, {"Three": delete})
    assert list(functions.versions()) == ["3"]


def test_permissions(functions: Functions) -> None:
    functions.deploy(1)
    body = functions.stacks.get_template(StackName=functions.name)["TemplateBody"]
    body["Resources"]["Permission"] = {
        "Type": "AWS::Lambda::Permission",
        "Properties": {
            "Action": "lambda:InvokeFunction",
            "FunctionName": {"Fn::GetAtt": ["Function", "Arn"]},
            "Principal": "sns.amazonaws.com",
        },
    }
    functions.stacks.update_stack(
        StackName=functions.name, TemplateBody=json.dumps(body)
    )
    policy = functions.client.get_policy(FunctionName=functions.function())["Policy"]
    (statement,) = json.loads(policy)["Statement"]
    assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
    functions.deploy(1)
    with pytest.raises(functions.client.exceptions.ResourceNotFoundException):
        functions.client.get_policy(FunctionName=functions.function())
