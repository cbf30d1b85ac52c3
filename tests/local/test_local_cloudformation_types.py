"""Every resource type: made, changed, replaced and deleted, and read back each time.

A type is here with all properties that it honours, or the tests fail.
"""

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.local import LocalAws
from cdk_personalize_segments.local.resources import TYPES
from cdk_personalize_segments.local.resources.base import is_gone

from .resource_cases import (
    NAME,
    PROVIDER,
    Around,
    Case,
    Properties,
    all_cases,
    arn,
    policy,
    trust,
)


@pytest.fixture(scope="module")
def cases(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """Make what the resources refer to, and give what each type is given."""
    kms, s3, iam = aws.client("kms"), aws.client("s3"), aws.client("iam")
    keys = [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
    for bucket in (f"{NAME}-around", f"{NAME}-around-2"):
        s3.create_bucket(Bucket=bucket)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", PROVIDER)
    s3.put_object(Bucket=f"{NAME}-around", Key="code.zip", Body=code.getvalue())
    machine = {
        "QueryLanguage": "JSONata",
        "Comment": "It ends",
        "StartAt": "End",
        "States": {"End": {"Type": "Succeed"}},
    }
    s3.put_object(
        Bucket=f"{NAME}-around", Key="machine.json", Body=json.dumps(machine).encode()
    )
    role = iam.create_role(
        RoleName=f"{NAME}-around",
        AssumeRolePolicyDocument=json.dumps(trust("lambda", "scheduler")),
    )["Role"]
    for service in ("logs", "sqs"):
        iam.put_role_policy(
            RoleName=role["RoleName"],
            PolicyName=service,
            PolicyDocument=json.dumps(policy(f"{service}:*")),
        )
    for function in (f"{NAME}-around", f"{NAME}-around-2"):
        aws.client("lambda").create_function(
            FunctionName=function,
            Code={"ZipFile": code.getvalue()},
            Handler="index.handler",
            Role=role["Arn"],
            Runtime="python3.13",
        )
    aws.client("logs").create_log_group(logGroupName=NAME)
    for database in (f"{NAME}_around", f"{NAME}_around_2"):
        aws.client("glue").create_database(DatabaseInput={"Name": database})
    for name in (f"{NAME}-around", f"{NAME}-around-2"):
        aws.client("sns").create_topic(Name=name)
        aws.client("sqs").create_queue(QueueName=name)
    queue_url = aws.client("sqs").get_queue_url(QueueName=f"{NAME}-around")["QueueUrl"]
    aws.client("events").create_event_bus(Name=f"{NAME}-around")
    aws.client("scheduler").create_schedule_group(Name=f"{NAME}-around")
    around = Around(
        role=f"{NAME}-around",
        function=f"{NAME}-around",
        key=keys[0],
        other_key=keys[1],
        bucket=f"{NAME}-around",
        dataset_group=aws.personalize.import_data(
            _data(tmp_path_factory.mktemp(NAME)), dataset_group=NAME
        ),
        provider=arn("lambda", f"function:{NAME}-around"),
        queue=f"{NAME}-around",
        queue_url=queue_url,
        topic=f"{NAME}-around",
    )
    return all_cases(around)


def _data(folder: Path) -> Path:
    """Write the smallest data that can be filtered."""
    (folder / "items.csv").write_text("ITEM_ID\n1\n2\n")
    (folder / "users.csv").write_text("USER_ID,AGE\na,17\nb,18\n")
    interactions = "USER_ID,ITEM_ID,TIMESTAMP\na,1,1700000000\nb,2,1700000000\n"
    (folder / "interactions.csv").write_text(interactions)
    return folder


def paths(value: Any, path: str = "") -> Iterator[str]:
    """Give the paths of a value, and of all that has something below."""
    if path:
        yield path
    if isinstance(value, Mapping):
        if path:
            yield f"{path}.*"
        for key, each in value.items():
            yield from paths(each, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for each in value:
            yield from paths(each, path)


def without(properties: Properties, names: Iterable[str]) -> Properties:
    return {key: value for key, value in properties.items() if key not in names}


def test_every_type_is_here_with_all_it_honours(cases: dict[str, Case]) -> None:
    assert TYPES.keys() == cases.keys()
    for name, case in cases.items():
        given = set(paths([case.first, case.second or {}, case.third or {}]))
        assert TYPES[name].honoured - given == set(), name
        replaced = TYPES[name].replaced_on
        assert bool(replaced) == (case.third is not None), name


# The operations that make what is declared, and those that show it.
CALLED = {
    "cloudformation": """
        CreateStack DeleteStack DescribeStackEvents DescribeStackResources
        UpdateStack
    """,
    "cloudwatch": """
        DeleteAlarms DeleteDashboards DescribeAlarms GetDashboard
        ListTagsForResource PutCompositeAlarm PutDashboard PutMetricAlarm
        TagResource UntagResource
    """,
    "ecr": """
        CreateRepository DeleteRepository DescribeRepositories
        GetLifecyclePolicy GetRepositoryPolicy PutImageTagMutability
        PutLifecyclePolicy SetRepositoryPolicy
    """,
    "events": """
        CreateEventBus DeleteEventBus DeleteRule DescribeEventBus DescribeRule
        ListTargetsByRule PutRule PutTargets RemoveTargets
    """,
    "glue": """
        CreateDatabase CreateTable DeleteDatabase DeleteTable GetDatabase
        GetTable UpdateDatabase UpdateTable
    """,
    "iam": """
        AttachRolePolicy CreatePolicy CreatePolicyVersion CreateRole
        DeletePolicy DeletePolicyVersion DeleteRole DeleteRolePolicy
        DetachRolePolicy GetPolicy GetPolicyVersion GetRole GetRolePolicy
        ListAttachedRolePolicies ListEntitiesForPolicy ListPolicyVersions
        ListRolePolicies PutRolePermissionsBoundary PutRolePolicy TagRole
        UntagRole UpdateAssumeRolePolicy UpdateRole
    """,
    "kms": """
        CreateAlias CreateKey DeleteAlias DescribeKey DisableKey
        DisableKeyRotation EnableKey EnableKeyRotation GetKeyPolicy
        GetKeyRotationStatus ListAliases ListResourceTags PutKeyPolicy
        ScheduleKeyDeletion TagResource UntagResource UpdateAlias
        UpdateKeyDescription
    """,
    "lambda": """
        AddPermission CreateAlias CreateEventSourceMapping CreateFunction
        DeleteAlias DeleteEventSourceMapping DeleteFunction GetAlias
        GetEventSourceMapping GetFunction GetFunctionConfiguration GetPolicy
        ListVersionsByFunction PublishVersion RemovePermission TagResource
        UntagResource UpdateAlias UpdateEventSourceMapping UpdateFunctionCode
        UpdateFunctionConfiguration
    """,
    "logs": """
        AssociateKmsKey CreateLogGroup DeleteLogGroup DeleteMetricFilter
        DeleteQueryDefinition DescribeLogGroups DescribeMetricFilters
        DescribeQueryDefinitions ListTagsForResource
        PutLogGroupDeletionProtection PutMetricFilter PutQueryDefinition
        PutRetentionPolicy TagResource UntagResource
    """,
    "personalize": "CreateFilter DeleteFilter DescribeFilter",
    "s3": """
        CreateBucket DeleteBucket DeleteBucketPolicy GetBucketAcl
        GetBucketCors GetBucketEncryption GetBucketLifecycleConfiguration
        GetBucketNotificationConfiguration GetBucketOwnershipControls
        GetBucketPolicy GetBucketTagging GetBucketVersioning
        GetPublicAccessBlock PutBucketAcl PutBucketCors PutBucketEncryption
        PutBucketLifecycleConfiguration PutBucketNotificationConfiguration
        PutBucketOwnershipControls PutBucketPolicy PutBucketTagging
        PutBucketVersioning PutPublicAccessBlock
    """,
    "scheduler": """
        CreateSchedule CreateScheduleGroup DeleteSchedule DeleteScheduleGroup
        GetSchedule GetScheduleGroup ListTagsForResource TagResource
        UntagResource UpdateSchedule
    """,
    "sns": """
        CreateTopic DeleteTopic GetSubscriptionAttributes GetTopicAttributes
        ListSubscriptionsByTopic ListTagsForResource SetSubscriptionAttributes
        SetTopicAttributes Subscribe TagResource Unsubscribe UntagResource
    """,
    "sqs": """
        CreateQueue DeleteQueue GetQueueAttributes ListQueueTags
        SetQueueAttributes TagQueue UntagQueue
    """,
    "ssm": """
        AddTagsToResource DeleteParameter DescribeParameters GetParameter
        ListTagsForResource PutParameter RemoveTagsFromResource
    """,
    "stepfunctions": """
        CreateStateMachine DeleteStateMachine DescribeStateMachine
        ListTagsForResource TagResource UntagResource UpdateStateMachine
    """,
}


# The types whose ids are made up, and policies that are put over those before.
UNNAMED = {
    "AWS::CDK::Metadata",
    "AWS::CloudFormation::CustomResource",
    "AWS::CloudFormation::WaitConditionHandle",
    "AWS::IAM::Policy",
    "AWS::KMS::Key",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Version",
    "AWS::Logs::QueryDefinition",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}


@pytest.mark.emulates(
    *TYPES,
    *(
        f"{service}:{operation}"
        for service, operations in CALLED.items()
        for operation in operations.split()
    ),
)
def test_every_type_is_made_changed_replaced_and_deleted(
    aws: LocalAws, cases: dict[str, Case]
) -> None:
    client = aws.client("cloudformation")
    logical = {name: name.replace(":", "") for name in cases}
    now = {name: case.first for name, case in cases.items()}

    def deploy(
        act: Callable[..., Any], before: Mapping[str, Properties] | None = None
    ) -> dict[str, str]:
        template = {
            "Resources": {
                logical[name]: {"Type": name, "Properties": properties}
                for name, properties in now.items()
            }
        }
        act(StackName=NAME, TemplateBody=json.dumps(template))
        events = client.describe_stack_events(StackName=NAME)["StackEvents"]
        failed = [each for each in events if each["ResourceStatus"].endswith("_FAILED")]
        assert not failed, [each.get("ResourceStatusReason") for each in failed]
        found = client.describe_stack_resources(StackName=NAME)["StackResources"]
        ids = {each["ResourceType"]: each["PhysicalResourceId"] for each in found}
        wrong = {}
        for name, case in cases.items():
            if case.read is None:
                continue
            shown = without(now[name], case.hidden)
            given = (before or now)[name]
            gone = without(given, {*now[name], *case.hidden, *case.lasting})
            read = case.read(aws, ids[name], {**gone, **now[name]})
            if {key: read.get(key) for key in shown} != shown:
                wrong[name] = (read, shown)
            left = [key for key in gone if read.get(key) == gone[key]]
            if left:
                wrong[name] = (read, left)
        assert wrong == {}
        return ids

    def is_there(name: str, physical_id: str, given: Properties) -> bool:
        try:
            return cases[name].read(aws, physical_id, given) is not None  # type: ignore[misc]
        except ClientError as error:
            if is_gone(error):
                return False
            raise

    def refuse_taken(name: str, physical_id: str) -> None:
        """Try to make the same again, and see that the first one stays."""
        template = {"Resources": {"Same": {"Type": name, "Properties": now[name]}}}
        client.create_stack(
            StackName=f"{NAME}-{logical[name]}", TemplateBody=json.dumps(template)
        )
        events = client.describe_stack_events(StackName=f"{NAME}-{logical[name]}")
        [reason] = [
            event["ResourceStatusReason"]
            for event in events["StackEvents"]
            if event["ResourceStatus"] == "CREATE_FAILED"
        ]
        assert re.search("(?i)already ?exist", reason), (name, reason)
        client.delete_stack(StackName=f"{NAME}-{logical[name]}")
        assert is_there(name, physical_id, now[name]), name

    first = deploy(client.create_stack)
    for name in cases.keys() - UNNAMED:
        refuse_taken(name, first[name])
    before, now = now, {name: case.second or case.first for name, case in cases.items()}
    assert deploy(client.update_stack, before) == first

    second = dict(now)
    now = {name: case.third or now[name] for name, case in cases.items()}
    third = deploy(client.update_stack)
    for name, case in cases.items():
        assert (third[name] != first[name]) == (case.third is not None), name
        if case.third:
            assert not is_there(name, first[name], second[name]), name

    client.delete_stack(StackName=NAME)
    for name, case in cases.items():
        if case.read:
            assert not is_there(name, third[name], now[name]), name
