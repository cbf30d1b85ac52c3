"""What templates can say, each in the smallest template that shows it."""

import base64
import json
import uuid

import pytest


class Stack:
    """A stack whose parameters hold values, to be read back."""

    def __init__(self, aws):
        self.aws, self.client = aws, aws.client("cloudformation")
        self.name = f"test-{uuid.uuid4().hex[:8]}"

    def create(self, values, **sections):
        """Create it with a parameter for each value, and return its description."""
        resources = {
            name: {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Type": "String", "Value": value},
            }
            for name, value in values.items()
        }
        return self.create_of(resources, **sections)

    def create_of(self, resources, **sections):
        template = {"Resources": resources, **sections}
        self.client.create_stack(StackName=self.name, TemplateBody=json.dumps(template))
        [stack] = self.client.describe_stacks(StackName=self.name)["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        return stack

    def ids(self):
        """Give the physical ids by logical ids."""
        found = self.client.list_stack_resources(StackName=self.name)
        return {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for each in found["StackResourceSummaries"]
        }

    def values(self):
        client = self.aws.client("ssm")
        return {
            name: client.get_parameter(Name=physical)["Parameter"]["Value"]
            for name, physical in self.ids().items()
        }


@pytest.fixture
def stack(aws):
    return Stack(aws)


def line(kind, name):
    return pytest.mark.emulates(f"{kind}:{name}")


# Each function, with a value that has it and the value that it has.
FUNCTIONS = {
    "Ref": ({"Ref": "Text"}, "a|b"),
    "Fn::Base64": ({"Fn::Base64": {"Ref": "Text"}}, base64.b64encode(b"a|b").decode()),
    "Fn::FindInMap": ({"Fn::FindInMap": ["Map", {"Ref": "Text"}, "key"]}, "found"),
    "Fn::GetAZs": (
        {"Fn::Join": [" ", {"Fn::GetAZs": ""}]},
        "us-east-1a us-east-1b us-east-1c",
    ),
    "Fn::GetAtt": ({"Fn::GetAtt": ["Base", "Value"]}, "base"),
    "Fn::If": ({"Fn::If": ["No", "then", {"Ref": "Text"}]}, "a|b"),
    "Fn::Join": ({"Fn::Join": ["-", ["x", {"Ref": "Text"}, "y"]]}, "x-a|b-y"),
    "Fn::Select": ({"Fn::Select": ["1", ["x", {"Ref": "Text"}]]}, "a|b"),
    "Fn::Split": ({"Fn::Select": [1, {"Fn::Split": ["|", {"Ref": "Text"}]}]}, "b"),
    "Fn::Sub": ({"Fn::Sub": ["${X} ${Text} ${!Kept}", {"X": "x"}]}, "x a|b ${Kept}"),
}


@pytest.fixture(scope="module")
def values(aws):
    made = Stack(aws)
    made.create(
        {"Base": "base", **{f"V{n}": v for n, (v, _) in enumerate(FUNCTIONS.values())}},
        Parameters={"Text": {"Type": "String", "Default": "a|b"}},
        Mappings={"Map": {"a|b": {"key": "found"}}},
        Conditions={"No": {"Fn::Equals": [{"Ref": "Text"}, ""]}},
    )
    return made.values()


@pytest.mark.parametrize(
    ("number", "name"),
    [
        pytest.param(n, name, marks=line("cfn", name))
        for n, name in enumerate(FUNCTIONS)
    ],
)
def test_a_function_has_its_value(values, number, name):
    assert values[f"V{number}"] == FUNCTIONS[name][1]


@pytest.mark.emulates("cfn:Fn::ImportValue", "cfn:Fn::GetStackOutput")
def test_values_come_from_other_stacks(aws, stack):
    name = stack.name
    stack.create(
        {"Made": "a"},
        Outputs={
            "Out": {"Value": {"Fn::GetAtt": "Made.Value"}, "Export": {"Name": name}}
        },
    )
    taker = Stack(aws)
    output = {"StackName": name, "OutputName": "Out"}
    taker.create({"A": {"Fn::ImportValue": name}, "B": {"Fn::GetStackOutput": output}})
    assert taker.values() == {"A": "a", "B": "a"}


@pytest.mark.emulates(
    "cfn:AWS::AccountId",
    "cfn:AWS::NoValue",
    "cfn:AWS::NotificationARNs",
    "cfn:AWS::Partition",
    "cfn:AWS::Region",
    "cfn:AWS::StackId",
    "cfn:AWS::StackName",
    "cfn:AWS::URLSuffix",
)
def test_pseudo_parameters_have_their_values(aws, stack):
    names = ["AccountId", "Partition", "Region", "StackId", "StackName", "URLSuffix"]
    told = stack.create(
        {
            **{name: {"Ref": f"AWS::{name}"} for name in names},
            "NotificationARNs": {
                "Fn::Join": [
                    "+",
                    ["none", {"Fn::Join": ["", {"Ref": "AWS::NotificationARNs"}]}],
                ]
            },
            "NoValue": {"Fn::Join": ["+", ["a", {"Ref": "AWS::NoValue"}, "b"]]},
        }
    )
    assert stack.values() == {
        "AccountId": aws.account_id,
        "NoValue": "a+b",
        "NotificationARNs": "none+",
        "Partition": "aws",
        "Region": aws.region,
        "StackId": told["StackId"],
        "StackName": stack.name,
        "URLSuffix": "amazonaws.com",
    }


YES, NO = {"Fn::Equals": ["a", "a"]}, {"Fn::Equals": ["a", "b"]}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        pytest.param(condition, holds, marks=line("cfn-condition", name))
        for name, condition, holds in [
            ("Fn::Equals", YES, True),
            ("Fn::Equals", NO, False),
            ("Fn::And", {"Fn::And": [YES, YES]}, True),
            ("Fn::And", {"Fn::And": [YES, NO]}, False),
            ("Fn::Or", {"Fn::Or": [NO, YES]}, True),
            ("Fn::Or", {"Fn::Or": [NO, NO]}, False),
            ("Fn::Not", {"Fn::Not": [NO]}, True),
            ("Fn::Not", {"Fn::Not": [YES]}, False),
            ("Condition", {"Fn::Or": [{"Condition": "Yes"}, NO]}, True),
            ("Fn::Contains", {"Fn::Contains": [["a", "b"], "b"]}, True),
            ("Fn::Contains", {"Fn::Contains": [["a", "b"], "c"]}, False),
        ]
    ],
)
def test_a_condition_holds_or_not(stack, condition, holds):
    stack.create(
        {"Made": {"Fn::If": ["Asked", "then", "else"]}},
        Conditions={"Yes": YES, "Asked": condition},
    )
    assert stack.values() == {"Made": "then" if holds else "else"}


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        pytest.param(kind, given, value, marks=line("cfn-parameter", kind))
        for kind, given, value in [
            ("String", "a", "a"),
            ("Number", "7", "7"),
            ("CommaDelimitedList", "a, b", "a+b"),
            ("List<Number>", "1, 2.5", "1+2.5"),
            ("AWS::SSM::Parameter::Name", "{ssm}", "{ssm}"),
            ("AWS::SSM::Parameter::Value<String>", "{ssm}", "x,y"),
            ("AWS::SSM::Parameter::Value<CommaDelimitedList>", "{ssm}", "x+y"),
            ("AWS::SSM::Parameter::Value<List<String>>", "{ssm}", "x+y"),
        ]
    ],
)
def test_a_parameter_is_of_its_type(aws, stack, kind, given, value):
    held = f"/{stack.name}/held"
    aws.client("ssm").put_parameter(Name=held, Value="x,y", Type="String")
    reference = {"Ref": "Given"}
    stack.create(
        {"Made": {"Fn::Join": ["+", reference if "List" in kind else [reference]]}},
        Parameters={"Given": {"Type": kind, "Default": given.format(ssm=held)}},
    )
    assert stack.values() == {"Made": value.format(ssm=held)}


@pytest.mark.emulates("cfn-reference:ssm")
def test_a_dynamic_reference_is_followed(aws, stack):
    name = f"/{stack.name}/held"
    aws.client("ssm").put_parameter(Name=name, Value="x", Type="String")
    stack.create({"Made": f"-{{{{resolve:ssm:{name}}}}}-{{{{resolve:ssm:{name}:1}}}}-"})
    assert stack.values() == {"Made": "-x-x-"}


@pytest.mark.emulates(
    "cfn-section:AWSTemplateFormatVersion",
    "cfn-section:Conditions",
    "cfn-section:Description",
    "cfn-section:Mappings",
    "cfn-section:Metadata",
    "cfn-section:Outputs",
    "cfn-section:Parameters",
    "cfn-section:Resources",
    "cfn-section:Rules",
)
def test_every_section_counts(stack):
    rule = {"Assert": {"Fn::Equals": [{"Ref": "Given"}, "a"]}}
    sections = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "All sections",
        "Metadata": {"Of": "the template"},
        "Parameters": {"Given": {"Type": "String", "Default": "a"}},
        "Rules": {"IsA": {"Assertions": [{**rule, "AssertDescription": "not a"}]}},
        "Mappings": {"Map": {"a": {"key": "mapped"}}},
        "Conditions": {"Always": {"Fn::Equals": [{"Ref": "Given"}, "a"]}},
        "Outputs": {"Out": {"Value": {"Ref": "Given"}, "Condition": "Always"}},
    }
    made = {"Fn::FindInMap": ["Map", {"Ref": "Given"}, "key"]}
    told = stack.create({"Made": made}, **sections)
    assert told["Description"] == "All sections"
    assert [each["OutputValue"] for each in told["Outputs"]] == ["a"]
    assert stack.values() == {"Made": "mapped"}
    summary = stack.client.get_template_summary(StackName=stack.name)
    assert json.loads(summary["Metadata"]) == {"Of": "the template"}
    with pytest.raises(stack.client.exceptions.ClientError, match="not a"):
        stack.client.update_stack(
            StackName=stack.name,
            UsePreviousTemplate=True,
            Parameters=[{"ParameterKey": "Given", "ParameterValue": "b"}],
        )


@pytest.mark.emulates(
    "cfn-attribute:Condition",
    "cfn-attribute:DeletionPolicy",
    "cfn-attribute:DependsOn",
    "cfn-attribute:Metadata",
    "cfn-attribute:Properties",
    "cfn-attribute:Type",
    "cfn-attribute:UpdateReplacePolicy",
    "cfn-policy:Delete",
    "cfn-policy:Retain",
    "cfn-policy:RetainExceptOnCreate",
)
def test_attributes_of_resources_count(aws, stack):
    bucket = {"Type": "AWS::S3::Bucket"}
    kept = {**bucket, "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}

    def resources(generation):
        return {
            "First": {**bucket, "DependsOn": "Last", "Metadata": {"why": "order"}},
            "Last": {**bucket, "DeletionPolicy": "Delete"},
            "Never": {**bucket, "Condition": "No"},
            "Later": {**bucket, "DeletionPolicy": "RetainExceptOnCreate"},
            "Kept": {
                **kept,
                "Properties": {"BucketName": f"{stack.name}-{generation}"},
            },
        }

    conditions = {"No": NO}
    stack.create_of(resources("old"), Conditions=conditions)
    events = stack.client.describe_stack_events(StackName=stack.name)["StackEvents"]
    made = [
        each["LogicalResourceId"]
        for each in reversed(events)
        if each["ResourceStatus"] == "CREATE_COMPLETE"
    ]
    assert made.index("Last") < made.index("First")
    assert "Never" not in made
    stack.client.update_stack(
        StackName=stack.name,
        TemplateBody=json.dumps(
            {"Resources": resources("new"), "Conditions": conditions}
        ),
    )
    ids = stack.ids()
    stack.client.delete_stack(StackName=stack.name)
    left = {each["Name"] for each in aws.client("s3").list_buckets()["Buckets"]}
    assert {f"{stack.name}-old", f"{stack.name}-new", ids["Later"]} <= left
    assert not {ids["First"], ids["Last"]} & left
