"""Values in templates: what CloudFormation converts, and what it refuses."""

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.local import LocalAws

from .test_local_monitoring import ALARM

Deploy = Callable[..., dict[str, str]]


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def deploy(aws: LocalAws, name: str) -> Deploy:
    """Create a stack; give its resources' ids, or reasons of what failed."""

    def create(resources: Any, stack: str = name, **sections: Any) -> dict[str, str]:
        client = aws.client("cloudformation")
        template = json.dumps({"Resources": resources, **sections})
        client.create_stack(StackName=stack, TemplateBody=template)
        events = client.describe_stack_events(StackName=stack)["StackEvents"]
        failed = {
            event["LogicalResourceId"]: event["ResourceStatusReason"]
            for event in events
            if event["ResourceStatus"] == "CREATE_FAILED"
        }
        found = client.describe_stack_resources(StackName=stack)["StackResources"]
        made = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}
        return failed or made

    return create


def one(kind: str, **properties: Any) -> dict[str, Any]:
    return {"One": {"Type": kind, "Properties": properties}}


def test_text_stands_for_booleans_and_numbers(aws: LocalAws, deploy: Deploy) -> None:
    resources = {
        **one("AWS::KMS::Key", EnableKeyRotation={"Ref": "No"}, Enabled="false"),
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                **ALARM,
                "ActionsEnabled": "false",
                "EvaluationPeriods": {"Ref": "Periods"},
                "Threshold": "1.5",
            },
        },
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "PublicAccessBlockConfiguration": {"BlockPublicAcls": "true"}
            },
        },
        "Value": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Type": "String", "Value": 5, "Description": True},
        },
        "Written": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Type": "String", "Value": {"Fn::Sub": "q-${Periods}"}},
        },
    }
    parameters = {
        "No": {"Type": "String", "Default": "false"},
        "Periods": {"Type": "Number", "Default": "007"},
    }
    made = deploy(resources, Parameters=parameters)

    kms = aws.client("kms")
    rotation = kms.get_key_rotation_status(KeyId=made["One"])
    assert rotation["KeyRotationEnabled"] is False
    key = kms.describe_key(KeyId=made["One"])["KeyMetadata"]
    assert key["KeyState"] == "Disabled"
    [alarm] = aws.client("cloudwatch").describe_alarms(AlarmNames=[made["Alarm"]])[
        "MetricAlarms"
    ]
    assert (alarm["EvaluationPeriods"], alarm["Threshold"]) == (7, 1.5)
    assert alarm["ActionsEnabled"] is False
    blocked = aws.client("s3").get_public_access_block(Bucket=made["Bucket"])
    assert blocked["PublicAccessBlockConfiguration"]["BlockPublicAcls"] is True
    ssm = aws.client("ssm")
    assert ssm.get_parameter(Name=made["Value"])["Parameter"]["Value"] == "5"
    assert ssm.get_parameter(Name=made["Written"])["Parameter"]["Value"] == "q-007"


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        (
            one("AWS::CloudWatch::Alarm", **{**ALARM, "Statistic": "Sumx"}),
            r"'Sumx' at 'statistic' failed .*enum value set: \[SampleCount, ",
        ),
        (
            one("AWS::CloudWatch::Alarm", **{**ALARM, "EvaluationPeriods": "1.5"}),
            "'1.5' at 'evaluationPeriods' must be of type integer",
        ),
        (
            one("AWS::CloudWatch::Alarm", **{**ALARM, "ActionsEnabled": "no"}),
            "'no' at 'actionsEnabled' must be of type boolean",
        ),
        (one("AWS::CloudWatch::Alarm", **ALARM, DatapointsToAlarm=2), "at most"),
        (
            one("AWS::CloudWatch::Alarm", **{**ALARM, "Period": 61}),
            "a multiple of 60, got 61",
        ),
        (
            one("AWS::CloudWatch::Alarm", **ALARM, TreatMissingData="never"),
            "notBreaching, got never",
        ),
        (one("AWS::Logs::LogGroup", RetentionInDays="8"), "'8' at 'retentionInDays'"),
        (one("AWS::KMS::Key", PendingWindowInDays=3), "between 7 and 30, got 3"),
        (one("AWS::KMS::Key", EnableKeyRotation="no"), "must be true or false"),
        (one("AWS::S3::Bucket", BucketName="under_score"), "InvalidBucketName"),
        (
            one("AWS::Events::Rule", EventPattern={"source": [{"foo": "a"}]}),
            "Unrecognized match type foo",
        ),
        (
            one("AWS::Events::Rule", Name="no name!", ScheduleExpression="rate(1 day)"),
            "'no name!' at 'name' failed to satisfy .* regular expression pattern",
        ),
        (
            one(
                "AWS::SSM::Parameter",
                Type="String",
                Value="x",
                AllowedPattern="^[0-9]+$",
            ),
            "ParameterPatternMismatchException",
        ),
    ],
)
def test_what_a_service_does_not_allow_fails(
    deploy: Deploy, resource: Any, reason: str
) -> None:
    failed = deploy(resource)
    assert failed.keys() == {"One"}
    assert re.search(reason, failed["One"])


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ({"Resources": {"Q-1": {"Type": "A"}}}, "Q-1 is non alphanumeric"),
        ({"Resources": {"Q": {"Type": "A", "Properties": []}}}, "must be an object"),
        (
            {
                "Resources": {
                    "Q": {"Type": "A", "DeletionPolicy": {"Fn::If": ["C", "a", "b"]}}
                }
            },
            "Every DeletionPolicy member must be a string",
        ),
        ({"Conditions": {"C": {"Fn::Zap": ["a"]}}}, "'Fn::Zap' in a condition"),
        (
            {"Conditions": {"C": {"Fn::Equals": ["a", {"Ref": "Nope"}]}}},
            "Ref to Nope is not allowed here",
        ),
        (
            {
                "Conditions": {
                    "C": {"Fn::Or": [{"Fn::Equals": [1, 1]}, {"Condition": "Nope"}]}
                }
            },
            "Unresolved condition 'Nope'",
        ),
        ({"Outputs": {"O": {"Value": "x", "Foo": 1}}}, "output O: Foo"),
        ({"Outputs": {"O": {"Description": "x"}}}, "must contain a Value"),
        (
            {"Parameters": {"P": {"Type": "String", "Default": "a", "Foo": 1}}},
            "parameter P: Foo",
        ),
        (
            {"Parameters": {"P": {"Type": "Number", "Default": "abc"}}},
            "'P' must be a number, got 'abc'",
        ),
        (
            {"Parameters": {"P": {"Type": "List<Number>", "Default": "1,abc"}}},
            "'P' must be a number, got 'abc'",
        ),
    ],
)
def test_a_malformed_template_is_refused(
    aws: LocalAws, name: str, template: dict[str, Any], reason: str
) -> None:
    body = {"Resources": one("AWS::SNS::Topic"), **template}
    with pytest.raises(ClientError, match=reason) as refused:
        aws.client("cloudformation").create_stack(
            StackName=name, TemplateBody=json.dumps(body)
        )
    assert refused.value.response["Error"]["Code"] == "ValidationError"


def test_a_secret_is_no_value_of_a_template(
    aws: LocalAws, name: str, deploy: Deploy
) -> None:
    aws.client("ssm").put_parameter(Name=name, Value="secret", Type="SecureString")
    kind = "AWS::SSM::Parameter::Value<String>"
    with pytest.raises(ClientError, match="have types not supported"):
        deploy(
            one("AWS::SNS::Topic"), Parameters={"P": {"Type": kind, "Default": name}}
        )


def test_a_stack_has_a_valid_name(deploy: Deploy) -> None:
    with pytest.raises(ClientError, match="'1_bad' at 'stackName'"):
        deploy(one("AWS::SNS::Topic"), stack="1_bad")


@pytest.mark.bridge("moto.ssm.models.SimpleSystemManagerBackend.put_parameter")
@pytest.mark.emulates("ssm:PutParameter")
def test_a_parameter_keeps_to_its_pattern(aws: LocalAws, name: str) -> None:
    ssm = aws.client("ssm")
    given: dict[str, Any] = {"Name": name, "Type": "String"}
    ssm.put_parameter(**given, Value="12", AllowedPattern=r"^\d+$")
    with pytest.raises(ssm.exceptions.ParameterPatternMismatchException):
        ssm.put_parameter(**given, Value="x", Overwrite=True)
    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == "12"
    ssm.put_parameter(**given, Value="x", Overwrite=True, AllowedPattern="")
    with pytest.raises(ssm.exceptions.InvalidAllowedPatternException):
        ssm.put_parameter(**given, Value="x", Overwrite=True, AllowedPattern="(")


def test_a_renamed_logical_id_does_not_lose_what_has_an_explicit_name(
    aws: LocalAws, name: str, deploy: Deploy
) -> None:
    queue = one("AWS::SQS::Queue", QueueName=name)["One"]
    url = deploy({"Before": queue})["Before"]
    client = aws.client("cloudformation")
    client.update_stack(
        StackName=name, TemplateBody=json.dumps({"Resources": {"After": queue}})
    )
    [stack] = client.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert aws.client("sqs").get_queue_url(QueueName=name)["QueueUrl"] == url


def test_a_failing_rule_is_cleaned_up_and_tells_why(
    aws: LocalAws, name: str, deploy: Deploy
) -> None:
    target = {"Id": "1", "Arn": "arn:aws:kinesis:us-east-1:123456789012:stream/x"}
    pattern = {"source": ["a"]}
    failed = deploy(
        one("AWS::Events::Rule", Name=name, EventPattern=pattern, Targets=[target])
    )
    assert "stream/x" in failed["One"]
    events = aws.client("events")
    with pytest.raises(events.exceptions.ResourceNotFoundException):
        events.describe_rule(Name=name)


def test_each_operation_begins_after_the_one_before(
    aws: LocalAws, name: str, deploy: Deploy
) -> None:
    """The CDK CLI tells by it which failures are of the deployment it watches."""
    deploy(one("AWS::SNS::Topic", DisplayName="first"))
    client = aws.client("cloudformation")
    before = client.describe_stack_events(StackName=name)["StackEvents"]
    client.create_change_set(
        StackName=name,
        ChangeSetName="next",
        TemplateBody=json.dumps({"Resources": one("AWS::SNS::Topic", DisplayName="2")}),
    )
    change_set = client.describe_change_set(StackName=name, ChangeSetName="next")
    client.execute_change_set(StackName=name, ChangeSetName="next")
    events = client.describe_stack_events(StackName=name)["StackEvents"]
    since = change_set["CreationTime"]
    assert [each for each in events if each["Timestamp"] < since] == before
    assert len(events) > len(before)


def test_roles_need_a_capability(aws: LocalAws, name: str) -> None:
    client = aws.client("cloudformation")
    trust = {"Version": "2012-10-17", "Statement": []}
    role = one("AWS::IAM::Role", AssumeRolePolicyDocument=trust)
    named = one("AWS::IAM::Role", AssumeRolePolicyDocument=trust, RoleName=name)
    refused = client.exceptions.InsufficientCapabilitiesException
    for resources, given, needed in (
        (role, [], "CAPABILITY_IAM"),
        (named, ["CAPABILITY_IAM"], "CAPABILITY_NAMED_IAM"),
    ):
        with pytest.raises(refused, match=rf"Requires capabilities : \[{needed}\]"):
            client.create_stack(
                StackName=name,
                TemplateBody=json.dumps({"Resources": resources}),
                Capabilities=given,
            )
    with pytest.raises(ClientError, match="does not exist"):
        client.describe_stacks(StackName=name)
