"""What change sets foresee, and values from elsewhere."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.local import LocalAws


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


def template(resources: Mapping[str, Any], **sections: Any) -> str:
    return json.dumps({"Resources": resources, **sections})


def parameter(value: Any, **more: Any) -> dict[str, Any]:
    properties = {"Type": "String", "Value": value, **more}
    return {"Type": "AWS::SSM::Parameter", "Properties": properties}


def describe(aws: LocalAws, name: str) -> dict[str, Any]:
    client = aws.client("cloudformation")
    return client.describe_stacks(StackName=name)["Stacks"][0]


@pytest.mark.emulates(
    "cloudformation:CreateChangeSet", "cloudformation:DescribeChangeSet"
)
def test_change_sets_tell_what_will_be_replaced(aws: LocalAws, name: str) -> None:
    client = aws.client("cloudformation")

    def resources(of: str, value: str) -> dict[str, Any]:
        return {
            "Group": {
                "Type": "AWS::Logs::LogGroup",
                "Properties": {"LogGroupName": f"{name}-{of}"},
            },
            # In place whatever the group becomes.
            "Tells": parameter({"Ref": "Group"}, Description=value),
            # Replaced if the group's name becomes another.
            "Filter": {
                "Type": "AWS::Logs::MetricFilter",
                "Properties": {
                    "LogGroupName": {"Ref": "Group"},
                    "FilterPattern": "",
                    "MetricTransformations": [
                        {"MetricName": "a", "MetricNamespace": "b", "MetricValue": "1"}
                    ],
                },
            },
            "Same": parameter("same"),
        }

    client.create_stack(StackName=name, TemplateBody=template(resources("a", "a")))
    client.create_change_set(
        StackName=name,
        ChangeSetName="next",
        TemplateBody=template(resources("b", "b")),
    )
    found = client.describe_change_set(StackName=name, ChangeSetName="next")
    changes = {
        each["ResourceChange"]["LogicalResourceId"]: each["ResourceChange"]
        for each in found["Changes"]
    }
    assert {key: each["Replacement"] for key, each in changes.items()} == {
        "Group": "True",
        "Tells": "False",
        "Filter": "Conditional",
    }
    assert changes["Group"]["Scope"] == ["Properties"]
    assert changes["Group"]["Details"] == [
        {
            "Target": {
                "Attribute": "Properties",
                "Name": "LogGroupName",
                "RequiresRecreation": "Always",
            }
        }
    ]
    told = [each["Target"]["Name"] for each in changes["Tells"]["Details"]]
    assert told == ["Description", "Value"]


@pytest.mark.emulates(
    "cloudformation:ExecuteChangeSet", "cloudformation:ListChangeSets"
)
def test_executing_a_change_set_forgets_the_others(aws: LocalAws, name: str) -> None:
    client = aws.client("cloudformation")
    client.create_stack(StackName=name, TemplateBody=template({"A": parameter("one")}))
    for number in ("1", "2"):
        body = template({"A": parameter(f"two-{number}")})
        client.create_change_set(
            StackName=name, ChangeSetName=f"to-{number}", TemplateBody=body
        )
    with pytest.raises(client.exceptions.AlreadyExistsException):
        client.create_change_set(
            StackName=name, ChangeSetName="to-1", TemplateBody=body
        )
    client.execute_change_set(StackName=name, ChangeSetName="to-1")
    with pytest.raises(client.exceptions.ChangeSetNotFoundException):
        client.execute_change_set(StackName=name, ChangeSetName="to-2")
    client.delete_stack(StackName=name)
    client.create_stack(StackName=name, TemplateBody=template({"A": parameter("one")}))
    assert client.list_change_sets(StackName=name)["Summaries"] == []


def test_values_from_systems_manager_are_shown_and_followed(
    aws: LocalAws, name: str
) -> None:
    client, ssm = aws.client("cloudformation"), aws.client("ssm")
    ssm.put_parameter(Name=f"/{name}", Value="one", Type="String")
    body = template(
        {"A": parameter({"Ref": "Given"})},
        Parameters={
            "Given": {
                "Type": "AWS::SSM::Parameter::Value<String>",
                "Default": f"/{name}",
            },
            "Named": {"Type": "AWS::SSM::Parameter::Name", "Default": f"/{name}"},
            "Secret": {"Type": "String", "Default": "s", "NoEcho": True},
        },
    )
    client.create_stack(StackName=name, TemplateBody=body)
    assert describe(aws, name)["Parameters"] == [
        {
            "ParameterKey": "Given",
            "ParameterValue": f"/{name}",
            "ResolvedValue": "one",
        },
        {"ParameterKey": "Named", "ParameterValue": f"/{name}"},
        {"ParameterKey": "Secret", "ParameterValue": "****"},
    ]
    with pytest.raises(ClientError, match="No updates"):
        client.update_stack(StackName=name, UsePreviousTemplate=True)
    ssm.put_parameter(Name=f"/{name}", Value="two", Type="String", Overwrite=True)
    client.create_change_set(
        StackName=name, ChangeSetName="next", UsePreviousTemplate=True
    )
    found = client.describe_change_set(StackName=name, ChangeSetName="next")
    assert [each["ResourceChange"]["Action"] for each in found["Changes"]] == ["Modify"]
    assert found["Parameters"][2]["ParameterValue"] == "****"
    client.update_stack(StackName=name, UsePreviousTemplate=True)
    assert describe(aws, name)["Parameters"][0]["ResolvedValue"] == "two"


def test_dynamic_references_to_parameters(aws: LocalAws, name: str) -> None:
    client, ssm = aws.client("cloudformation"), aws.client("ssm")
    for value in ("one", "two"):
        ssm.put_parameter(Name=f"/{name}", Value=value, Type="String", Overwrite=True)
    reference = f"{{{{resolve:ssm:/{name}:1}}}}"
    joined = {"Fn::Join": ["", ["{{resolve:ssm:/", {"Ref": "AWS::StackName"}, "}}"]]}
    client.create_stack(
        StackName=name,
        TemplateBody=template(
            {"A": parameter(f"was {reference}")},
            Outputs={"Now": {"Value": joined}},
        ),
    )
    assert describe(aws, name)["Outputs"][0]["OutputValue"] == "two"
    resource = client.describe_stack_resource(StackName=name, LogicalResourceId="A")
    made = resource["StackResourceDetail"]["PhysicalResourceId"]
    assert ssm.get_parameter(Name=made)["Parameter"]["Value"] == "was one"
