"""What stacks make, read back through the services' own APIs."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from cdk_personalize_segments.local import LocalAws

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


def policy(action: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


Deploy = Callable[..., dict[str, str]]


@pytest.fixture
def deploy(local_aws: LocalAws) -> Deploy:
    """Create or update a stack, and give the physical ids of its resources."""
    client = local_aws.client("cloudformation")
    name = f"test-{uuid.uuid4().hex[:8]}"
    exists: list[bool] = []

    def deploy_resources(**resources: tuple[str, dict[str, Any]]) -> dict[str, str]:
        template = {
            "Resources": {
                logical_id: {"Type": kind, "Properties": properties}
                for logical_id, (kind, properties) in resources.items()
            }
        }
        act = client.update_stack if exists else client.create_stack
        exists.append(True)
        act(StackName=name, TemplateBody=json.dumps(template))
        stack = client.describe_stacks(StackName=name)["Stacks"][0]
        events = client.describe_stack_events(StackName=name)["StackEvents"]
        assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), [
            event.get("ResourceStatusReason") for event in events
        ]
        found = client.describe_stack_resources(StackName=name)["StackResources"]
        return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}

    return deploy_resources


BUCKET = {
    "BucketEncryption": {
        "ServerSideEncryptionConfiguration": [
            {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        ]
    },
    "LifecycleConfiguration": {
        "Rules": [
            {
                "Id": "Inputs",
                "Status": "Enabled",
                "Prefix": "input/",
                "ExpirationInDays": 30,
                "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
            },
            {
                "Id": "Markers",
                "Status": "Enabled",
                "Prefix": "input/",
                "ExpiredObjectDeleteMarker": True,
            },
            {
                "Id": "Uploads",
                "Status": "Enabled",
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
            },
        ]
    },
    "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
    "PublicAccessBlockConfiguration": {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": False,
    },
    "Tags": [{"Key": "team", "Value": "growth"}],
    "VersioningConfiguration": {"Status": "Enabled"},
}


def test_bucket(deploy: Deploy, local_aws: LocalAws) -> None:
    s3 = local_aws.client("s3")
    bucket = deploy(Data=("AWS::S3::Bucket", BUCKET))["Data"]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"][
        "Rules"
    ][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == [
        {
            "ID": "Inputs",
            "Status": "Enabled",
            "Filter": {"Prefix": "input/"},
            "Expiration": {"Days": 30},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        },
        {
            "ID": "Markers",
            "Status": "Enabled",
            "Filter": {"Prefix": "input/"},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
        },
        {
            "ID": "Uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    ]
    controls = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
    assert controls == BUCKET["OwnershipControls"]
    blocked = s3.get_public_access_block(Bucket=bucket)
    assert (
        blocked["PublicAccessBlockConfiguration"]
        == (BUCKET["PublicAccessBlockConfiguration"])
    )
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == BUCKET["Tags"]


def test_bucket_loses_what_its_template_drops(
    deploy: Deploy, local_aws: LocalAws
) -> None:
    s3 = local_aws.client("s3")
    first = deploy(Data=("AWS::S3::Bucket", BUCKET))
    bucket = deploy(Data=("AWS::S3::Bucket", {}))["Data"]
    assert bucket == first["Data"]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Suspended"
    encryption = s3.get_bucket_encryption(Bucket=bucket)
    [rule] = encryption["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    for read in (
        s3.get_bucket_lifecycle_configuration,
        s3.get_bucket_ownership_controls,
        s3.get_bucket_tagging,
        s3.get_public_access_block,
    ):
        with pytest.raises(s3.exceptions.ClientError, match=r"(?i)no ?such|not ?found"):
            read(Bucket=bucket)


def test_bucket_policy(deploy: Deploy, local_aws: LocalAws) -> None:
    s3 = local_aws.client("s3")

    def document(action: str) -> dict[str, Any]:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "personalize.amazonaws.com"},
            "Action": action,
            "Resource": {"Fn::Sub": "${Data.Arn}/*"},
        }
        return {"Version": "2012-10-17", "Statement": [statement]}

    def deploy_policy(action: str) -> str:
        made = deploy(
            Policy=(
                "AWS::S3::BucketPolicy",
                {"Bucket": {"Ref": "Data"}, "PolicyDocument": document(action)},
            ),
            Data=("AWS::S3::Bucket", {}),
        )
        return made["Data"]

    for action in ("s3:GetObject", "s3:PutObject"):
        bucket = deploy_policy(action)
        found = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        assert found["Statement"][0]["Action"] == action
        assert found["Statement"][0]["Resource"] == f"arn:aws:s3:::{bucket}/*"
    deploy(Data=("AWS::S3::Bucket", {}))
    with pytest.raises(s3.exceptions.ClientError, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket=bucket)


def test_role_with_its_policies(deploy: Deploy, local_aws: LocalAws) -> None:
    iam = local_aws.client("iam")
    managed = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    role_properties = {
        "AssumeRolePolicyDocument": TRUST,
        "Description": "Does a task",
        "MaxSessionDuration": 7200,
        "ManagedPolicyArns": [managed],
        "Policies": [{"PolicyName": "Task", "PolicyDocument": policy("s3:GetObject")}],
        "Tags": [{"Key": "team", "Value": "growth"}],
    }
    inline = {
        "PolicyName": "More",
        "PolicyDocument": policy("s3:PutObject"),
        "Roles": [{"Ref": "Role"}],
    }
    own = {"PolicyDocument": policy("s3:ListBucket"), "Roles": [{"Ref": "Role"}]}
    made = deploy(
        Inline=("AWS::IAM::Policy", inline),
        Managed=("AWS::IAM::ManagedPolicy", own),
        Role=("AWS::IAM::Role", role_properties),
    )
    name = made["Role"]
    role = iam.get_role(RoleName=name)["Role"]
    assert role["AssumeRolePolicyDocument"] == TRUST
    assert (role["Description"], role["MaxSessionDuration"]) == ("Does a task", 7200)
    assert role["Tags"] == role_properties["Tags"]
    assert set(iam.list_role_policies(RoleName=name)["PolicyNames"]) == {"Task", "More"}
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert {each["PolicyArn"] for each in attached} == {managed, made["Managed"]}

    changed = {
        "AssumeRolePolicyDocument": {**TRUST, "Id": "changed"},
        "Policies": [{"PolicyName": "Other", "PolicyDocument": policy("s3:GetObject")}],
    }
    again = deploy(
        Managed=(
            "AWS::IAM::ManagedPolicy",
            {**own, "PolicyDocument": policy("s3:HeadBucket")},
        ),
        Role=("AWS::IAM::Role", changed),
    )
    assert again == {"Role": name, "Managed": made["Managed"]}
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["Other"]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert [each["PolicyArn"] for each in attached] == [made["Managed"]]
    role = iam.get_role(RoleName=name)["Role"]
    assert role["AssumeRolePolicyDocument"]["Id"] == "changed"
    assert role["MaxSessionDuration"] == 3600
    assert not role.get("Tags")
    (version,) = iam.list_policy_versions(PolicyArn=made["Managed"])["Versions"]
    document = iam.get_policy_version(
        PolicyArn=made["Managed"], VersionId=version["VersionId"]
    )["PolicyVersion"]["Document"]
    assert document["Statement"][0]["Action"] == "s3:HeadBucket"


def test_log_group(deploy: Deploy, local_aws: LocalAws) -> None:
    logs = local_aws.client("logs")
    name = f"/aws/vendedlogs/states/{uuid.uuid4()}"

    def deploy_group(**properties: Any) -> dict[str, Any]:
        deploy(Group=("AWS::Logs::LogGroup", {"LogGroupName": name, **properties}))
        (group,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        return dict(group)

    tags = [{"Key": "team", "Value": "growth"}]
    assert deploy_group(RetentionInDays=90, Tags=tags)["retentionInDays"] == 90
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{name}"
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "growth"}
    assert deploy_group(RetentionInDays=7)["retentionInDays"] == 7
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {}
    assert "retentionInDays" not in deploy_group()


def test_state_machine(deploy: Deploy, local_aws: LocalAws) -> None:
    states = local_aws.client("stepfunctions")
    role = (
        "AWS::IAM::Role",
        {
            "AssumeRolePolicyDocument": json.loads(
                json.dumps(TRUST).replace("lambda", "states")
            ),
            "Policies": [{"PolicyName": "Logs", "PolicyDocument": policy("logs:*")}],
        },
    )

    def machine(comment: str, **properties: Any) -> tuple[str, dict[str, Any]]:
        start, end = (
            json.dumps({"QueryLanguage": "JSONata", "StartAt": "End"})[:-1],
            "}",
        )
        definition = {
            "Fn::Join": [
                "",
                [
                    start,
                    ', "Comment": "',
                    {"Ref": "Group"},
                    f" {comment}",
                    '", "States": {"End": {"Type": "Succeed"}}',
                    end,
                ],
            ]
        }
        return (
            "AWS::StepFunctions::StateMachine",
            {
                "DefinitionString": definition,
                "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                **properties,
            },
        )

    settings = {
        "LoggingConfiguration": {
            "Level": "ALL",
            "IncludeExecutionData": False,
            "Destinations": [
                {
                    "CloudWatchLogsLogGroup": {
                        "LogGroupArn": {"Fn::GetAtt": ["Group", "Arn"]}
                    }
                }
            ],
        },
        "TracingConfiguration": {"Enabled": True},
        "Tags": [{"Key": "team", "Value": "growth"}],
    }
    group = ("AWS::Logs::LogGroup", {"LogGroupName": f"machine-{uuid.uuid4()}"})
    made = deploy(Machine=machine("one", **settings), Role=role, Group=group)
    arn = made["Machine"]
    described = states.describe_state_machine(stateMachineArn=arn)
    assert described["type"] == "STANDARD"
    assert json.loads(described["definition"])["Comment"] == f"{made['Group']} one"
    assert described["roleArn"].endswith(f":role/{made['Role']}")
    assert described["loggingConfiguration"] == {
        "level": "ALL",
        "includeExecutionData": False,
        "destinations": [
            {
                "cloudWatchLogsLogGroup": {
                    "logGroupArn": (
                        "arn:aws:logs:us-east-1:123456789012:log-group:"
                        f"{made['Group']}:*"
                    )
                }
            }
        ],
    }
    assert described["tracingConfiguration"] == {"enabled": True}
    tags = states.list_tags_for_resource(resourceArn=arn)["tags"]
    assert tags == [{"key": "team", "value": "growth"}]

    changed = deploy(Machine=machine("two"), Role=role, Group=group)
    assert changed["Machine"] == arn
    described = states.describe_state_machine(stateMachineArn=arn)
    assert json.loads(described["definition"])["Comment"] == f"{made['Group']} two"
    assert described["loggingConfiguration"]["level"] == "OFF"
    assert described["tracingConfiguration"] == {"enabled": False}
    assert states.list_tags_for_resource(resourceArn=arn)["tags"] == []
