"""The services' own times are the virtual clock's."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import urlopen

import pytest
from moto.sqs.models import sqs_backends

from cdk_personalize_segments.local import LocalAws

DAY = 24 * 3600


@pytest.fixture
def now(local_aws: LocalAws) -> datetime:
    """A virtual time a day later than the test's beginning."""
    local_aws.clock.sleep(DAY)
    return local_aws.clock.now()


def whole(instant: datetime) -> datetime:
    """Give a time as services give it that know whole seconds."""
    return instant.replace(microsecond=0)


@pytest.mark.bridge("moto.s3.models.FakeBucket.__init__")
@pytest.mark.emulates("s3:PutObject", "s3:HeadObject", "s3:ListObjectsV2")
def test_objects_are_of_the_virtual_time(local_aws: LocalAws) -> None:
    s3 = local_aws.client("s3")
    began = local_aws.clock.now()
    s3.create_bucket(Bucket="times")
    local_aws.clock.sleep(DAY)
    s3.put_object(Bucket="times", Key="a", Body=b"text")
    expected = whole(began + timedelta(days=1))
    assert s3.head_object(Bucket="times", Key="a")["LastModified"] == expected
    (listed,) = s3.list_objects_v2(Bucket="times")["Contents"]
    assert listed["LastModified"] == expected
    buckets = {each["Name"]: each for each in s3.list_buckets()["Buckets"]}
    assert buckets["times"]["CreationDate"] == whole(began)

    # Conditions are about virtual times, and presigned addresses go on working.
    for condition, refused in (
        ({"IfModifiedSince": expected}, "304"),
        ({"IfUnmodifiedSince": expected - timedelta(seconds=1)}, "PreconditionFailed"),
    ):
        with pytest.raises(s3.exceptions.ClientError, match=refused):
            s3.get_object(Bucket="times", Key="a", **condition)
    newer = expected - timedelta(seconds=1)
    s3.get_object(Bucket="times", Key="a", IfModifiedSince=newer)
    s3.get_object(Bucket="times", Key="a", IfUnmodifiedSince=expected)
    address = s3.generate_presigned_url(
        "get_object", Params={"Bucket": "times", "Key": "a"}, ExpiresIn=60
    )
    with urlopen(address) as answer:  # noqa: S310
        assert answer.read() == b"text"


@pytest.mark.bridge(
    "moto.cloudwatch.models.Dashboard.__init__", "moto.core.utils.datetime"
)
@pytest.mark.emulates("cloudwatch:ListDashboards")
def test_every_service_tells_the_virtual_time(
    local_aws: LocalAws, now: datetime
) -> None:
    client = local_aws.client
    role = client("iam").create_role(RoleName="times", AssumeRolePolicyDocument="{}")
    key = client("kms").create_key()["KeyMetadata"]
    client("logs").create_log_group(logGroupName="times")
    (group,) = client("logs").describe_log_groups(logGroupNamePrefix="times")[
        "logGroups"
    ]
    client("ssm").put_parameter(Name="times", Value="a", Type="String")
    parameter = client("ssm").get_parameter(Name="times")["Parameter"]
    client("glue").create_database(DatabaseInput={"Name": "times"})
    database = client("glue").get_database(Name="times")["Database"]
    monitoring = client("cloudwatch")
    monitoring.put_dashboard(DashboardName="times", DashboardBody='{"widgets": []}')
    (dashboard,) = monitoring.list_dashboards(DashboardNamePrefix="times")[
        "DashboardEntries"
    ]
    told: dict[str, Any] = {
        "cloudwatch": dashboard["LastModified"],
        "iam": role["Role"]["CreateDate"],
        "kms": key["CreationDate"],
        "logs": datetime.fromtimestamp(group["creationTime"] / 1000, UTC),
        "ssm": parameter["LastModifiedDate"],
        "glue": database["CreateTime"],
    }
    assert {name: whole(time) for name, time in told.items()} == dict.fromkeys(
        told, whole(now)
    )


def test_stacks_and_their_events_are_of_the_virtual_time(
    local_aws: LocalAws, now: datetime
) -> None:
    client = local_aws.client("cloudformation")
    template = '{"Resources": {"M": {"Type": "AWS::CDK::Metadata"}}}'
    client.create_stack(StackName="times", TemplateBody=template)
    (stack,) = client.describe_stacks(StackName="times")["Stacks"]
    assert stack["CreationTime"] == now
    local_aws.clock.sleep(60)
    client.delete_stack(StackName="times")
    (stack,) = client.describe_stacks(StackName=stack["StackId"])["Stacks"]
    assert stack["DeletionTime"] == now + timedelta(seconds=60)
    events = client.describe_stack_events(StackName=stack["StackId"])["StackEvents"]
    assert {event["Timestamp"] for event in events} == {
        now,
        now + timedelta(seconds=60),
    }


@pytest.mark.bridge("moto.sts.models.utcnow")
def test_temporary_credentials_are_valid_on_this_machine(
    local_aws: LocalAws, now: datetime
) -> None:
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": local_aws.account_id},
        "Action": "sts:AssumeRole",
    }
    local_aws.client("iam").create_role(
        RoleName="temporary",
        AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}),
    )
    given = local_aws.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{local_aws.account_id}:role/temporary",
        RoleSessionName="test",
    )
    left = given["Credentials"]["Expiration"] - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


def test_long_polls_pass_virtual_time_and_end_early_for_a_message(
    local_aws: LocalAws,
) -> None:
    queues = sqs_backends[local_aws.account_id][local_aws.region]
    queues.create_queue("times", {})
    began = local_aws.clock.now()
    assert queues.receive_message("times", 1, 20, 30) == []
    assert local_aws.clock.now() - began == timedelta(seconds=20, milliseconds=1)

    async def send() -> None:
        # Not at the instant of one of the looks, which are a second apart.
        await asyncio.sleep(4.5)
        queues.send_message("times", "text")

    sent = local_aws.clock.start(send())
    (message,) = queues.receive_message("times", 1, 20, 30)
    sent.result()
    assert message.body == "text"
    assert round((local_aws.clock.now() - began).total_seconds()) == 25


def test_a_long_poll_ends_while_a_function_works(local_aws: LocalAws) -> None:
    queues = sqs_backends[local_aws.account_id][local_aws.region]
    queues.create_queue("standstill", {})
    began = local_aws.clock.now()
    with local_aws.clock.busy():
        assert queues.receive_message("standstill", 1, 1, 30) == []
    assert local_aws.clock.now() == began
