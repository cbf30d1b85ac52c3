"""Stacks in the local CloudFormation: made, changed, rolled back, deleted."""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.local import LocalAws


class Stack:
    """A stack of a test, by a name of its own."""

    def __init__(self, aws: LocalAws, name: str) -> None:
        self.aws, self.name = aws, name
        self.client = aws.client("cloudformation")

    def create(self, resources: Mapping[str, Any], **options: Any) -> str:
        """Create it and return its status."""
        self.client.create_stack(**self._request(resources, options))
        return self.status()

    def update(self, resources: Mapping[str, Any], **options: Any) -> str:
        """Update it and return its status."""
        self.client.update_stack(**self._request(resources, options))
        return self.status()

    def delete(self) -> str:
        """Delete it and return its status."""
        stack_id = self._describe()["StackId"]
        self.client.delete_stack(StackName=self.name)
        return self.client.describe_stacks(StackName=stack_id)["Stacks"][0][
            "StackStatus"
        ]

    def status(self) -> str:
        """Return its status."""
        return self._describe()["StackStatus"]

    def outputs(self) -> dict[str, str]:
        """Return its outputs."""
        return {
            output["OutputKey"]: output["OutputValue"]
            for output in self._describe().get("Outputs", [])
        }

    def failures(self) -> dict[str, str]:
        """Return the latest reasons of what failed, by logical id."""
        events = self.client.describe_stack_events(StackName=self.name)["StackEvents"]
        return {
            event["LogicalResourceId"]: event["ResourceStatusReason"]
            for event in reversed(events)
            if event["ResourceStatus"].endswith("_FAILED")
        }

    def physical_id(self, logical_id: str) -> str:
        """Return the physical id of a resource."""
        found = self.client.describe_stack_resource(
            StackName=self.name, LogicalResourceId=logical_id
        )
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def _describe(self) -> dict[str, Any]:
        return self.client.describe_stacks(StackName=self.name)["Stacks"][0]

    def _request(
        self, resources: Mapping[str, Any], options: dict[str, Any]
    ) -> dict[str, Any]:
        sections = {key: options.pop(key) for key in list(options) if key in _SECTIONS}
        return {
            "StackName": self.name,
            "TemplateBody": json.dumps({"Resources": resources, **sections}),
            **options,
        }


_SECTIONS = ("Conditions", "Mappings", "Outputs", "Parameters", "Rules", "Transform")


@pytest.fixture
def new_stack(local_aws: LocalAws) -> Callable[[], Stack]:
    def make() -> Stack:
        return Stack(local_aws, f"test-{uuid.uuid4().hex[:8]}")

    return make


@pytest.fixture
def stack(new_stack: Callable[[], Stack]) -> Stack:
    return new_stack()


def parameter(value: Any, **declaration: Any) -> dict[str, Any]:
    """Declare the cheapest resource that holds a value."""
    return {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Type": "String", "Value": value},
        **declaration,
    }


def broken(*depends_on: str) -> dict[str, Any]:
    """Declare a resource that its service refuses."""
    return {
        "Type": "AWS::S3::Bucket",
        "Properties": {"BucketName": "No"},
        "DependsOn": list(depends_on),
    }


def value_of(stack: Stack, logical_id: str) -> str:
    """Read what a declared parameter holds."""
    name = stack.physical_id(logical_id)
    return stack.aws.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    """Return the message of a service's error."""
    return error.value.response["Error"]["Message"]


# --- Nothing is silently ignored ---


@pytest.mark.bridge("cdk_personalize_segments.local.cloudformation")
def test_a_type_that_is_not_honoured_fails_by_name_before_anything_is_made(
    stack: Stack,
) -> None:
    status = stack.create(
        {
            "Data": {"Type": "AWS::S3::Bucket"},
            "Table": {"Type": "AWS::DynamoDB::Table"},
            "Stream": {"Type": "AWS::Kinesis::Stream"},
            "Pipe": {"Type": "AWS::Pipes::Pipe"},
        }
    )
    assert status == "ROLLBACK_COMPLETE"
    failures = stack.failures()
    assert "AWS::DynamoDB::Table" in failures["Table"]
    assert "AWS::Kinesis::Stream" in failures["Stream"]
    assert "AWS::Pipes::Pipe" in failures["Pipe"]
    assert "Data" not in failures
    buckets = stack.aws.client("s3").list_buckets()["Buckets"]
    assert not [each for each in buckets if each["Name"].startswith(stack.name)]


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({"WebsiteConfiguration": {"IndexDocument": "x"}}, "WebsiteConfiguration"),
        (
            {
                "LifecycleConfiguration": {
                    "Rules": [
                        {"Status": "Enabled", "ExpirationInDays": 1},
                        {"Status": "Enabled", "ObjectSizeGreaterThan": "1"},
                    ]
                }
            },
            "LifecycleConfiguration.Rules.ObjectSizeGreaterThan",
        ),
        ({"ObjectLockEnabled": {"Ref": "AWS::Region"}}, "ObjectLockEnabled"),
    ],
)
def test_a_property_that_is_not_honoured_fails_by_name(
    stack: Stack, properties: dict[str, Any], named: str
) -> None:
    status = stack.create(
        {"Data": {"Type": "AWS::S3::Bucket", "Properties": properties}}
    )
    assert status == "ROLLBACK_COMPLETE"
    assert stack.failures()["Data"] == (
        f"local AWS does not honour {named} of AWS::S3::Bucket"
    )


def test_a_property_behind_a_condition_that_does_not_hold_is_no_matter(
    stack: Stack,
) -> None:
    website = {"Fn::If": ["Never", {"IndexDocument": "x"}, {"Ref": "AWS::NoValue"}]}
    status = stack.create(
        {
            "Data": {
                "Type": "AWS::S3::Bucket",
                "Properties": {"WebsiteConfiguration": website},
            }
        },
        Conditions={"Never": {"Fn::Equals": ["a", "b"]}},
    )
    assert status == "CREATE_COMPLETE"


@pytest.mark.parametrize(
    ("resources", "sections", "named"),
    [
        ({"P": parameter({"Fn::Length": ["a"]})}, {}, "Fn::Length"),
        ({"P": parameter("{{resolve:ssm:/none}}")}, {}, "{{resolve:ssm:/none}}"),
        (
            {"P": parameter("{{resolve:secretsmanager:a}}")},
            {},
            "{{resolve:secretsmanager:a}}",
        ),
    ],
)
def test_functions_that_are_not_honoured_fail_by_name(
    stack: Stack, resources: dict[str, Any], sections: dict[str, Any], named: str
) -> None:
    assert stack.create(resources, **sections) == "ROLLBACK_COMPLETE"
    assert named in stack.failures()["P"]


@pytest.mark.parametrize(
    ("resources", "options", "named"),
    [
        ({"P": parameter("x")}, {"Transform": "AWS::Serverless"}, "Transform"),
        ({"P": parameter("x", UpdatePolicy={})}, {}, "UpdatePolicy"),
        ({"P": parameter("x", DeletionPolicy="Snapshot")}, {}, "Snapshot"),
        ({"P": parameter("x")}, {"TimeoutInMinutes": 5}, "TimeoutInMinutes"),
        (
            {"P": parameter("x")},
            {"Parameters": {"Vpc": {"Type": "AWS::EC2::VPC::Id", "Default": "vpc-1"}}},
            "AWS::EC2::VPC::Id",
        ),
        (
            {"P": parameter({"Ref": "Missing"})},
            {},
            "Unresolved resource dependencies [Missing]",
        ),
        (
            {"A": parameter({"Ref": "B"}), "B": parameter({"Ref": "A"})},
            {},
            "Circular dependency",
        ),
        (
            {"P": parameter("x")},
            {"Parameters": {"Stage": {"Type": "String"}}},
            "Parameters: [Stage] must have values",
        ),
        (
            {"P": parameter("x")},
            {
                "Parameters": {
                    "Stage": {"Type": "String", "AllowedValues": ["a"], "Default": "b"}
                }
            },
            "'Stage' is not an allowed value: 'b'",
        ),
        (
            {"P": parameter("x")},
            {
                "Rules": {
                    "Old": {
                        "Assertions": [
                            {
                                "Assert": {"Fn::Contains": [["1"], "2"]},
                                "AssertDescription": "too old",
                            }
                        ]
                    }
                }
            },
            "too old",
        ),
    ],
)
def test_what_a_template_cannot_have_is_refused_by_name(
    stack: Stack, resources: dict[str, Any], options: dict[str, Any], named: str
) -> None:
    with pytest.raises(ClientError) as error:
        stack.create(resources, **options)
    assert named in code(error)
    with pytest.raises(ClientError, match="does not exist"):
        stack.status()


def test_an_operation_that_is_not_honoured_is_refused_by_name(stack: Stack) -> None:
    with pytest.raises(ClientError, match="DetectStackDrift") as error:
        stack.client.detect_stack_drift(StackName="any")
    assert error.value.response["Error"]["Code"] == "NotImplemented"


# --- Values ---


def test_intrinsic_functions(stack: Stack) -> None:
    values = {
        "Join": {
            "Fn::Join": ["-", ["a", {"Ref": "Number"}, {"Ref": "AWS::Partition"}]]
        },
        "Select": {"Fn::Select": [1, {"Fn::Split": ["|", "a|b"]}]},
        "Sub": {"Fn::Sub": ["${X} ${!Kept} ${Base} ${AWS::Region}", {"X": "x"}]},
        "SubAttribute": {"Fn::Sub": "${Base.Value}"},
        "FindInMap": {"Fn::FindInMap": ["Map", {"Ref": "AWS::Region"}, "key"]},
        "If": {"Fn::If": ["Yes", "then", {"Ref": "Missing"}]},
        "Suffix": {"Ref": "AWS::URLSuffix"},
        "StackId": {"Ref": "AWS::StackId"},
        "Unpacked": {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]},
        "List": {"Fn::Join": ["+", {"Ref": "Items"}]},
    }
    status = stack.create(
        {
            "Base": parameter("base"),
            **{name: parameter(value) for name, value in values.items()},
        },
        Parameters={
            "Number": {"Type": "Number", "Default": "7"},
            "Items": {"Type": "CommaDelimitedList", "Default": "a, b"},
        },
        Mappings={"Map": {"us-east-1": {"key": "found"}}},
        Conditions={
            "Yes": {
                "Fn::And": [
                    {"Fn::Not": [{"Condition": "No"}]},
                    {"Fn::Or": [{"Condition": "No"}, {"Fn::Equals": ["a", "a"]}]},
                ]
            },
            "No": {"Fn::Equals": [{"Ref": "AWS::AccountId"}, "1"]},
        },
    )
    assert status == "CREATE_COMPLETE", stack.failures()
    stack_id = value_of(stack, "StackId")
    found = {name: value_of(stack, name) for name in values}
    assert found == {
        "Join": "a-7-aws",
        "Select": "b",
        "Sub": f"x ${{Kept}} {stack.physical_id('Base')} us-east-1",
        "SubAttribute": "base",
        "FindInMap": "found",
        "If": "then",
        "Suffix": "amazonaws.com",
        "StackId": stack_id,
        "Unpacked": stack_id.rpartition("/")[2],
        "List": "a+b",
    }
    assert re.fullmatch(
        rf"arn:aws:cloudformation:us-east-1:123456789012:stack/{stack.name}/[0-9a-f-]+",
        stack_id,
    )


@pytest.mark.emulates("cfn-parameter:AWS::SSM::Parameter::Value<String>")
def test_parameters_from_systems_manager(stack: Stack) -> None:
    stack.aws.client("ssm").put_parameter(
        Name=f"/{stack.name}/version", Value="21", Type="String"
    )
    stack.create(
        {"P": parameter({"Ref": "Version"})},
        Parameters={
            "Version": {
                "Type": "AWS::SSM::Parameter::Value<String>",
                "Default": f"/{stack.name}/version",
            }
        },
    )
    assert value_of(stack, "P") == "21"


def test_outputs_and_their_conditions(stack: Stack) -> None:
    stack.create(
        {"P": parameter("x"), "Q": parameter("y", Condition="No")},
        Conditions={"No": {"Fn::Equals": ["a", "b"]}},
        Outputs={
            "Name": {"Value": {"Ref": "P"}, "Description": "which one"},
            "Hidden": {"Value": {"Ref": "Q"}, "Condition": "No"},
        },
    )
    assert stack.outputs() == {"Name": stack.physical_id("P")}


def test_exports_tie_stacks_together(new_stack: Callable[[], Stack]) -> None:
    exporter, importer = new_stack(), new_stack()
    name = f"{exporter.name}:value"
    output = {"Out": {"Value": {"Ref": "P"}, "Export": {"Name": name}}}
    exporter.create({"P": parameter("x")}, Outputs=output)
    importer.create({"Q": parameter({"Fn::ImportValue": name})})
    assert value_of(importer, "Q") == exporter.physical_id("P")
    with pytest.raises(ClientError, match=f"in use by {importer.name}"):
        exporter.delete()
    assert exporter.update({"P": parameter("x")}) == "UPDATE_ROLLBACK_COMPLETE"
    assert importer.delete() == "DELETE_COMPLETE"
    assert exporter.delete() == "DELETE_COMPLETE"


def test_outputs_of_other_stacks(new_stack: Callable[[], Stack]) -> None:
    giver, taker = new_stack(), new_stack()

    def reference(output: str, **more: str) -> dict[str, Any]:
        return {
            "Fn::GetStackOutput": {
                "StackName": giver.name,
                "OutputName": output,
                "Region": {"Ref": "AWS::Region"},
                **more,
            }
        }

    giver.create({"P": parameter("x")}, Outputs={"Out": {"Value": {"Ref": "P"}}})
    taker.create({"Q": parameter(reference("Out"))})
    assert value_of(taker, "Q") == giver.physical_id("P")
    for wrong, named in (
        (reference("Other"), f"Stack {giver.name} has no output Other"),
        (reference("Out", RoleArn="arn"), "argument of Fn::GetStackOutput: RoleArn"),
    ):
        assert taker.update({"Q": parameter(wrong)}) == "UPDATE_ROLLBACK_COMPLETE"
        assert named in taker.failures()["Q"]


def test_names_are_of_the_stack_and_never_clash(
    new_stack: Callable[[], Stack],
) -> None:
    logical_id = "ALogicalIdThatIsSoLongThatNoServiceCouldEverTakeAllOfItAsAName" * 2
    resources = {
        logical_id: {"Type": "AWS::S3::Bucket"},
        "Role": {"Type": "AWS::IAM::Role", "Properties": _trust("lambda")},
    }
    first, second = new_stack(), new_stack()
    for each in (first, second):
        assert each.create(resources) == "CREATE_COMPLETE"
        bucket = each.physical_id(logical_id)
        assert len(bucket) <= 63
        assert bucket.startswith(each.name)
        assert re.fullmatch(
            rf"{each.name}-Role-[A-Z0-9]{{12}}", each.physical_id("Role")
        )
    assert first.physical_id(logical_id) != second.physical_id(logical_id)


def _trust(service: str) -> dict[str, Any]:
    return {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": {"Service": f"{service}.amazonaws.com"},
                }
            ],
        }
    }


# --- Life of a stack ---


def test_a_failure_rolls_back_all_but_what_is_retained(stack: Stack) -> None:
    taken = f"{stack.name}-taken"
    stack.aws.client("s3").create_bucket(Bucket=taken)
    status = stack.create(
        {
            "Gone": {"Type": "AWS::S3::Bucket"},
            "Kept": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"},
            "Clash": {
                "Type": "AWS::S3::Bucket",
                "Properties": {"BucketName": taken},
                "DependsOn": ["Gone", "Kept"],
            },
        }
    )
    assert status == "ROLLBACK_COMPLETE"
    assert stack.failures() == {"Clash": f"{taken} already exists"}
    names = [
        each["Name"]
        for each in stack.aws.client("s3").list_buckets()["Buckets"]
        if each["Name"].startswith(stack.name)
    ]
    assert [re.sub(r"-[a-z0-9]{12}$", "", name) for name in sorted(names)] == [
        f"{stack.name}-kept",
        taken,
    ]


@pytest.mark.parametrize(
    ("kind", "properties", "listing", "name"),
    [
        (
            "AWS::S3::Bucket",
            {"LifecycleConfiguration": {"Rules": [{"Status": "Enabled"}, {}]}},
            ("s3", "list_buckets"),
            "Name",
        ),
        (
            "AWS::IAM::Role",
            {
                **_trust("lambda"),
                "Policies": [{"PolicyName": "Bad", "PolicyDocument": {"Nope": 1}}],
            },
            ("iam", "list_roles"),
            "RoleName",
        ),
    ],
)
def test_a_resource_that_is_half_made_is_gone(
    stack: Stack,
    list_all: Callable[[str, str], list[Any]],
    kind: str,
    properties: dict[str, Any],
    listing: tuple[str, str],
    name: str,
) -> None:
    status = stack.create({"Half": {"Type": kind, "Properties": properties}})
    assert status == "ROLLBACK_COMPLETE"
    assert stack.failures()["Half"]
    names = [each[name] for each in list_all(*listing)]
    assert names
    assert not [each for each in names if each.startswith(stack.name)]


def test_what_a_property_lacks_is_named(stack: Stack) -> None:
    assert stack.create({"Role": {"Type": "AWS::IAM::Role"}}) == "ROLLBACK_COMPLETE"
    assert stack.failures()["Role"] == (
        "the property AssumeRolePolicyDocument is missing"
    )


def test_secret_parameters_are_not_shown(stack: Stack) -> None:
    stack.create(
        {"P": parameter({"Ref": "Secret"})},
        Parameters={
            "Secret": {"Type": "String", "NoEcho": True, "Default": "s3cret"},
            "Open": {"Type": "String", "Default": "shown"},
        },
    )
    found = stack.client.describe_stacks(StackName=stack.name)["Stacks"][0]
    assert {
        each["ParameterKey"]: each["ParameterValue"] for each in found["Parameters"]
    } == {"Secret": "****", "Open": "shown"}


def test_a_failed_update_leaves_everything_as_it_was(stack: Stack) -> None:
    stack.create({"Changed": parameter("before"), "Removed": parameter("there")})
    names = stack.physical_id("Changed"), stack.physical_id("Removed")
    status = stack.update(
        {
            "Changed": parameter("after"),
            "Added": parameter("new"),
            "Broken": broken("Changed", "Added"),
        }
    )
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert "InvalidBucketName" in stack.failures()["Broken"]
    assert (stack.physical_id("Changed"), stack.physical_id("Removed")) == names
    assert value_of(stack, "Changed") == "before"
    assert value_of(stack, "Removed") == "there"
    with pytest.raises(ClientError, match="does not exist"):
        stack.physical_id("Added")


def test_an_update_that_fails_half_way_is_undone_as_well(stack: Stack) -> None:
    def role(trusted: str, policy: dict[str, Any]) -> dict[str, Any]:
        return {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    **_trust(trusted),
                    "Policies": [{"PolicyName": "Task", "PolicyDocument": policy}],
                },
            }
        }

    good = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
    }
    stack.create(role("lambda", good))
    assert stack.update(role("states", {"No": 1})) == "UPDATE_ROLLBACK_COMPLETE"
    assert "MalformedPolicy" in stack.failures()["Role"]
    found = stack.aws.client("iam").get_role(RoleName=stack.physical_id("Role"))
    trust = json.dumps(found["Role"]["AssumeRolePolicyDocument"])
    assert "lambda.amazonaws.com" in trust


def test_a_resource_cannot_become_one_of_another_type(stack: Stack) -> None:
    stack.create({"Thing": parameter("x")})
    status = stack.update({"Thing": {"Type": "AWS::S3::Bucket"}})
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert "Update of resource type is not permitted" in stack.failures()["Thing"]
    assert value_of(stack, "Thing") == "x"


def test_an_output_that_is_no_text_rolls_back(stack: Stack) -> None:
    status = stack.create({"P": parameter("x")}, Outputs={"Out": {"Value": ["y"]}})
    assert status == "ROLLBACK_COMPLETE"
    [reason] = [
        event["ResourceStatusReason"]
        for event in stack.client.describe_stack_events(StackName=stack.name)[
            "StackEvents"
        ]
        if event["ResourceStatus"] == "ROLLBACK_IN_PROGRESS"
    ]
    assert "must evaluate to a String" in reason


def test_an_update_changes_adds_replaces_and_removes(stack: Stack) -> None:
    logs = stack.aws.client("logs")

    def group(name: str, days: int, **declaration: Any) -> dict[str, Any]:
        properties = {"LogGroupName": f"{stack.name}/{name}", "RetentionInDays": days}
        return {
            "Type": "AWS::Logs::LogGroup",
            "Properties": properties,
            **declaration,
        }

    def groups() -> dict[str, int]:
        found = logs.describe_log_groups(logGroupNamePrefix=f"{stack.name}/")
        return {
            each["logGroupName"].rpartition("/")[2]: each["retentionInDays"]
            for each in found["logGroups"]
        }

    stack.create(
        {
            "Same": group("same", 1),
            "Renamed": group("old", 1),
            "KeptRenamed": group("kept", 1, UpdateReplacePolicy="Retain"),
            "Removed": group("removed", 1),
            "KeptRemoved": group("left", 1, DeletionPolicy="Retain"),
        }
    )
    status = stack.update(
        {
            "Same": group("same", 3),
            "Renamed": group("new", 1),
            "KeptRenamed": group("other", 1),
            "Added": group("added", 5),
        }
    )
    assert status == "UPDATE_COMPLETE"
    # The new declaration does not retain what it replaces.
    assert groups() == {"same": 3, "new": 1, "other": 1, "added": 5, "left": 1}


def test_replaced_resources_are_kept_where_the_template_says_so(stack: Stack) -> None:
    def bucket(name: str) -> dict[str, Any]:
        return {
            "Type": "AWS::S3::Bucket",
            "UpdateReplacePolicy": "Retain",
            "Properties": {"BucketName": f"{stack.name}-{name}"},
        }

    stack.create({"Data": bucket("a")})
    stack.update({"Data": bucket("b")})
    for name in ("a", "b"):
        stack.aws.client("s3").head_bucket(Bucket=f"{stack.name}-{name}")
    assert stack.physical_id("Data") == f"{stack.name}-b"


def test_dependents_follow_a_replacement(stack: Stack) -> None:
    def resources(name: str) -> dict[str, Any]:
        return {
            "Data": {
                "Type": "AWS::S3::Bucket",
                "Properties": {"BucketName": f"{stack.name}-{name}"},
            },
            "Name": parameter({"Fn::GetAtt": ["Data", "Arn"]}),
        }

    stack.create(resources("a"))
    stack.update(resources("b"))
    assert value_of(stack, "Name") == f"arn:aws:s3:::{stack.name}-b"


def test_deletion_keeps_what_is_retained_and_fails_for_a_full_bucket(
    stack: Stack,
) -> None:
    stack.create(
        {
            "Full": {"Type": "AWS::S3::Bucket"},
            "Kept": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"},
            "Empty": {"Type": "AWS::S3::Bucket"},
        }
    )
    s3 = stack.aws.client("s3")
    full, kept, empty = (stack.physical_id(each) for each in ("Full", "Kept", "Empty"))
    s3.put_object(Bucket=full, Key="x", Body=b"x")
    s3.put_object(Bucket=kept, Key="x", Body=b"x")
    assert stack.delete() == "DELETE_FAILED"
    assert "not empty" in stack.failures()["Full"]
    s3.delete_object(Bucket=full, Key="x")
    assert stack.delete() == "DELETE_COMPLETE"
    s3.head_object(Bucket=kept, Key="x")
    for name in (full, empty):
        with pytest.raises(ClientError, match="404"):
            s3.head_bucket(Bucket=name)


def test_a_stack_can_be_deleted_and_made_again(stack: Stack) -> None:
    resources = {"P": parameter("x"), "Data": {"Type": "AWS::S3::Bucket"}}
    stack.create(resources)
    first = stack.physical_id("Data")
    assert stack.delete() == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="does not exist"):
        stack.status()
    assert stack.create(resources) == "CREATE_COMPLETE"
    assert stack.physical_id("Data") != first


def test_what_is_gone_already_does_not_stop_a_deletion(stack: Stack) -> None:
    stack.create({"Data": {"Type": "AWS::S3::Bucket"}})
    stack.aws.client("s3").delete_bucket(Bucket=stack.physical_id("Data"))
    assert stack.delete() == "DELETE_COMPLETE"


@pytest.mark.emulates("cloudformation:UpdateTerminationProtection")
def test_termination_protection(stack: Stack) -> None:
    stack.create({"P": parameter("x")}, EnableTerminationProtection=True)
    with pytest.raises(ClientError, match="TerminationProtection"):
        stack.client.delete_stack(StackName=stack.name)
    stack.client.update_termination_protection(
        StackName=stack.name, EnableTerminationProtection=False
    )
    assert stack.delete() == "DELETE_COMPLETE"


def test_without_rollback_what_was_made_stays(stack: Stack) -> None:
    status = stack.create(
        {"Made": parameter("x"), "Broken": broken("Made")},
        DisableRollback=True,
    )
    assert status == "CREATE_FAILED"
    assert value_of(stack, "Made") == "x"
    assert stack.update({"Made": parameter("y")}) == "UPDATE_COMPLETE"


def test_an_update_without_changes_is_refused(stack: Stack) -> None:
    stack.create({"P": parameter("x")})
    with pytest.raises(ClientError, match="No updates are to be performed"):
        stack.update({"P": parameter("x")})


def test_change_sets_foresee_what_they_do(stack: Stack) -> None:
    stack.create(
        {"Same": parameter("x"), "Other": parameter("x"), "Gone": parameter("x")}
    )
    stack.client.create_change_set(
        StackName=stack.name,
        ChangeSetName="next",
        TemplateBody=json.dumps(
            {
                "Resources": {
                    "Same": parameter("x"),
                    "Other": parameter({"Ref": "New"}),
                    "New": parameter("x"),
                }
            }
        ),
    )
    described = stack.client.describe_change_set(
        StackName=stack.name, ChangeSetName="next"
    )
    changes = {
        change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"][
            "Action"
        ]
        for change in described["Changes"]
    }
    assert changes == {"Other": "Modify", "New": "Add", "Gone": "Remove"}
    assert value_of(stack, "Gone") == "x"
    stack.client.execute_change_set(StackName=stack.name, ChangeSetName="next")
    assert stack.status() == "UPDATE_COMPLETE"
    assert value_of(stack, "Other") == stack.physical_id("New")


def test_a_retained_bucket_can_be_taken_over_again(stack: Stack) -> None:
    data = {
        "Type": "AWS::S3::Bucket",
        "DeletionPolicy": "Retain",
        "Properties": {"BucketName": f"{stack.name}-data"},
    }
    stack.create({"Data": data})
    stack.aws.client("s3").put_object(Bucket=f"{stack.name}-data", Key="x", Body=b"x")
    stack.delete()
    stack.client.create_change_set(
        StackName=stack.name,
        ChangeSetName="again",
        ChangeSetType="CREATE",
        ImportExistingResources=True,
        TemplateBody=json.dumps({"Resources": {"Data": data}}),
    )
    stack.client.execute_change_set(StackName=stack.name, ChangeSetName="again")
    assert stack.status() == "CREATE_COMPLETE"
    stack.aws.client("s3").head_object(Bucket=f"{stack.name}-data", Key="x")


def test_templates_by_address(stack: Stack) -> None:
    bucket = f"{stack.name}-templates"
    s3 = stack.aws.client("s3")
    s3.create_bucket(Bucket=bucket)
    body = json.dumps({"Resources": {"P": parameter("by address")}})
    s3.put_object(Bucket=bucket, Key="a/b.json", Body=body.encode())
    stack.client.create_stack(
        StackName=stack.name,
        TemplateURL=f"https://{bucket}.s3.us-east-1.amazonaws.com/a/b.json",
    )
    assert value_of(stack, "P") == "by address"
    stack.client.delete_stack(StackName=stack.name)
    stack.client.create_stack(
        StackName=stack.name,
        TemplateURL=f"{stack.aws.endpoint_url}/{bucket}/a/b.json",
    )
    assert value_of(stack, "P") == "by address"


def test_templates_in_yaml(stack: Stack) -> None:
    body = """
    Resources:
      Base:
        Type: AWS::SSM::Parameter
        Properties: {Type: String, Value: !Sub "${AWS::StackName} 2012-10-17"}
      Copy:
        Type: AWS::SSM::Parameter
        Properties:
          Type: String
          Value: !Join [":", [!GetAtt Base.Value, 2012-10-17]]
    """
    stack.client.create_stack(StackName=stack.name, TemplateBody=body)
    assert value_of(stack, "Copy") == f"{stack.name} 2012-10-17:2012-10-17"


def test_tags_of_the_stack_are_tags_of_its_resources(stack: Stack) -> None:
    own = {"Tags": [{"Key": "team", "Value": "bucket's"}, {"Key": "a", "Value": "1"}]}
    resources = {"Data": {"Type": "AWS::S3::Bucket", "Properties": own}}
    tags = [{"Key": "team", "Value": "stack's"}, {"Key": "stage", "Value": "test"}]
    stack.create(resources, Tags=tags)
    found = stack.aws.client("s3").get_bucket_tagging(Bucket=stack.physical_id("Data"))
    assert {tag["Key"]: tag["Value"] for tag in found["TagSet"]} == {
        "team": "bucket's",
        "a": "1",
        "stage": "test",
    }
