"""Operations of CloudFormation that tell of stacks, each by what it tells."""

import json
import uuid

import pytest
from botocore.exceptions import ClientError

PARAMETER = {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String"}}


def parameter(value):
    return {**PARAMETER, "Properties": {"Type": "String", "Value": value}}


class Pair:
    """A stack that exports a value, and one that imports it."""

    def __init__(self, client):
        self.client = client
        self.name = f"test-{uuid.uuid4().hex[:8]}"
        self.importer = f"{self.name}-importer"
        self.template = {
            "Description": "Exports",
            "Parameters": {"Text": {"Type": "String", "Default": "a"}},
            "Resources": {"Made": parameter({"Ref": "Text"})},
            "Outputs": {
                "Out": {"Value": {"Ref": "Text"}, "Export": {"Name": self.name}}
            },
        }
        self.create(self.name, self.template)
        imported = parameter({"Fn::ImportValue": self.name})
        self.create(self.importer, {"Resources": {"Made": imported}})

    def create(self, name, template):
        self.client.create_stack(StackName=name, TemplateBody=json.dumps(template))


@pytest.fixture(scope="module")
def pair(aws):
    return Pair(aws.client("cloudformation"))


@pytest.mark.emulates("cloudformation:DescribeStacks")
def test_a_stack_is_described(pair):
    [stack] = pair.client.describe_stacks(StackName=pair.name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert stack["Description"] == "Exports"
    assert stack["Parameters"] == [{"ParameterKey": "Text", "ParameterValue": "a"}]
    assert stack["Outputs"] == [
        {"OutputKey": "Out", "OutputValue": "a", "ExportName": pair.name}
    ]
    with pytest.raises(ClientError, match="does not exist"):
        pair.client.describe_stacks(StackName="gone")


@pytest.mark.emulates(
    "cloudformation:DescribeStackResource", "cloudformation:ListStackResources"
)
def test_a_resource_is_described_as_it_is_listed(aws, pair):
    described = pair.client.describe_stack_resource(
        StackName=pair.name, LogicalResourceId="Made"
    )["StackResourceDetail"]
    [listed] = pair.client.list_stack_resources(StackName=pair.name)[
        "StackResourceSummaries"
    ]
    for each in (described, listed):
        assert each["LogicalResourceId"] == "Made"
        assert each["ResourceType"] == "AWS::SSM::Parameter"
        assert each["ResourceStatus"] == "CREATE_COMPLETE"
    assert described["PhysicalResourceId"] == listed["PhysicalResourceId"]
    found = aws.client("ssm").get_parameter(Name=listed["PhysicalResourceId"])
    assert found["Parameter"]["Value"] == "a"


@pytest.mark.emulates("cloudformation:ListStacks")
def test_deleted_stacks_are_listed_too(pair):
    name = f"{pair.name}-deleted"
    pair.create(name, {"Resources": {"Made": parameter("x")}})
    pair.client.delete_stack(StackName=name)

    def names(**filters):
        pages = pair.client.get_paginator("list_stacks").paginate(**filters)
        return {each["StackName"] for page in pages for each in page["StackSummaries"]}

    assert {name, pair.name} <= names()
    assert name in names(StackStatusFilter=["DELETE_COMPLETE"])
    assert pair.name not in names(StackStatusFilter=["DELETE_COMPLETE"])


@pytest.mark.emulates("cloudformation:GetTemplate", "cloudformation:GetTemplateSummary")
def test_a_template_is_given_and_summed_up(pair):
    given = pair.client.get_template(StackName=pair.name)["TemplateBody"]
    given = json.loads(given) if isinstance(given, str) else given
    assert given == pair.template

    summary = pair.client.get_template_summary(StackName=pair.name)
    assert summary["Description"] == "Exports"
    assert summary["ResourceTypes"] == ["AWS::SSM::Parameter"]
    [declared] = summary["Parameters"]
    assert (declared["ParameterKey"], declared["DefaultValue"]) == ("Text", "a")


@pytest.mark.emulates("cloudformation:ListExports", "cloudformation:ListImports")
def test_exports_name_their_stacks_and_importers(pair):
    pages = pair.client.get_paginator("list_exports").paginate()
    exports = {each["Name"]: each for page in pages for each in page["Exports"]}
    assert exports[pair.name]["Value"] == "a"
    [stack] = pair.client.describe_stacks(StackName=pair.name)["Stacks"]
    assert exports[pair.name]["ExportingStackId"] == stack["StackId"]
    imports = pair.client.list_imports(ExportName=pair.name)["Imports"]
    assert imports == [pair.importer]


@pytest.mark.emulates("cloudformation:DeleteChangeSet")
def test_a_deleted_change_set_cannot_be_executed(pair):
    change_set = {"StackName": pair.name, "ChangeSetName": "change"}
    pair.client.create_change_set(
        **change_set,
        TemplateBody=json.dumps(pair.template),
        Parameters=[{"ParameterKey": "Text", "ParameterValue": "b"}],
        ChangeSetType="UPDATE",
    )
    pair.client.delete_change_set(**change_set)
    with pytest.raises(ClientError) as refused:
        pair.client.execute_change_set(**change_set)
    assert refused.value.response["Error"]["Code"] == "ChangeSetNotFound"
    assert pair.client.list_change_sets(StackName=pair.name)["Summaries"] == []
