"""Events that services emit: of objects in buckets, and of executions."""

import json
import uuid
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from moto.s3.models import S3Backend

from cdk_personalize_segments.local.events.s3 import S3Events

EVENTS = "events.amazonaws.com"


@pytest.fixture(scope="module")
def bucket(aws):
    """Make a versioned bucket that tells event buses of its objects."""
    client, name = aws.client("s3"), f"told-{uuid.uuid4().hex[:8]}"
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(
        Bucket=name, VersioningConfiguration={"Status": "Enabled"}
    )
    client.put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    return name


@pytest.fixture
def told(bucket, new_queue, new_rule):
    """Give a queue that is told of the bucket's objects."""
    queue = new_queue(EVENTS)
    new_rule(
        EventPattern={"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
    ).target(queue.arn)
    return queue


@pytest.mark.bridge("moto.s3.notifications.send_event")
@pytest.mark.emulates("event-source:s3")
def test_an_upload_is_told_in_the_documented_shape(aws, bucket, told):
    put = aws.client("s3").put_object(Bucket=bucket, Key="a b/é.json", Body=b"hello")
    [message] = told.take()
    event = message.body
    assert event["detail-type"] == "Object Created"
    assert event["resources"] == [f"arn:aws:s3:::{bucket}"]
    detail = event["detail"]
    assert len(detail.pop("request-id")) == 16
    assert int(detail["object"].pop("sequencer"), 16)
    assert detail == {
        "version": "0",
        "bucket": {"name": bucket},
        "object": {
            "key": "a b/é.json",
            "size": 5,
            "etag": "5d41402abc4b2a76b9719d911017c592",
            "version-id": put["VersionId"],
        },
        "requester": aws.account_id,
        "source-ip-address": "127.0.0.1",
        "reason": "PutObject",
    }


@pytest.mark.bridge(
    "moto.s3.models.S3Backend.complete_multipart_upload",
    "moto.s3.models.S3Backend.delete_object",
)
def test_each_way_to_make_and_delete_an_object_is_told(aws, bucket, told):
    client = aws.client("s3")
    client.put_object(Bucket=bucket, Key="one", Body=b"1")
    copied = client.copy_object(Bucket=bucket, Key="two", CopySource=f"{bucket}/one")
    upload = client.create_multipart_upload(Bucket=bucket, Key="three")["UploadId"]
    of = {"Bucket": bucket, "Key": "three", "UploadId": upload}
    part = client.upload_part(**of, PartNumber=1, Body=b"3")
    client.complete_multipart_upload(
        **of, MultipartUpload={"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    )
    client.delete_object(Bucket=bucket, Key="one")
    client.delete_object(Bucket=bucket, Key="two", VersionId=copied["VersionId"])
    client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "three"}]})
    details = [message.body["detail"] for message in told.take()]
    assert [
        (each["object"]["key"], each["reason"], each.get("deletion-type"))
        for each in details
    ] == [
        ("one", "PutObject", None),
        ("two", "CopyObject", None),
        ("three", "CompleteMultipartUpload", None),
        ("one", "DeleteObject", "Delete Marker Created"),
        ("two", "DeleteObject", "Permanently Deleted"),
        ("three", "DeleteObject", "Delete Marker Created"),
    ]
    sequence = [each["object"]["sequencer"] for each in details]
    assert sequence == sorted(sequence)
    assert details[4]["object"]["version-id"] == copied["VersionId"]


@pytest.mark.bridge("cdk_personalize_segments.local.events.s3")
def test_an_object_is_there_with_its_tags_when_it_is_told(
    aws, bucket, told, monkeypatch
):
    order = []

    def note(owner, name):
        original = getattr(owner, name)

        def noted(*args, **options):
            order.append(name)
            return original(*args, **options)

        monkeypatch.setattr(owner, name, noted)

    note(S3Backend, "put_object_tagging")
    note(S3Events, "_later")
    client = aws.client("s3")
    client.put_object(Bucket=bucket, Key="tagged", Body=b"", Tagging="a=1")
    [message] = told.take()
    assert "version-id" in message.body["detail"]["object"]
    tags = client.get_object_tagging(Bucket=bucket, Key="tagged")["TagSet"]
    assert tags == [{"Key": "a", "Value": "1"}]
    assert order == ["put_object_tagging", "_later"]


@pytest.mark.emulates("s3:DeleteObjectTagging")
@pytest.mark.bridge(
    "moto.s3.responses.S3Response.delete_object_tagging",
    "moto.s3.responses.S3Response.put_object_tagging",
)
def test_tags_of_an_object_are_told_when_they_change(aws, bucket, told):
    client = aws.client("s3")
    put = client.put_object(Bucket=bucket, Key="one", Body=b"1", Tagging="a=1")
    tags = {"TagSet": [{"Key": "a", "Value": "2"}]}
    client.put_object_tagging(Bucket=bucket, Key="one", Tagging=tags)
    client.delete_object_tagging(Bucket=bucket, Key="one")
    assert client.get_object_tagging(Bucket=bucket, Key="one")["TagSet"] == []
    _, *events = [message.body for message in told.take()]
    assert [event["detail-type"] for event in events] == [
        "Object Tags Added",
        "Object Tags Deleted",
    ]
    for event in events:
        assert len(event["detail"].pop("request-id")) == 16
        assert event["detail"] == {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {
                "key": "one",
                "etag": put["ETag"].strip('"'),
                "version-id": put["VersionId"],
            },
            "requester": aws.account_id,
            "source-ip-address": "127.0.0.1",
        }


@pytest.mark.bridge(
    "moto.s3.models.FakeBucket.set_notification_configuration",
    "moto.s3.responses.S3Response.get_bucket_notification",
)
@pytest.mark.emulates(
    "s3:PutBucketNotificationConfiguration", "s3:GetBucketNotificationConfiguration"
)
def test_a_bucket_tells_only_when_it_is_told_to(aws, bucket, told):
    client = aws.client("s3")

    def configure(configuration):
        client.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=configuration
        )

    def configured():
        answer = client.get_bucket_notification_configuration(Bucket=bucket)
        return {key: value for key, value in answer.items() if "Conf" in key}

    assert configured() == {"EventBridgeConfiguration": {}}
    configure({})
    assert configured() == {}
    client.put_object(Bucket=bucket, Key="silent", Body=b"")
    with pytest.raises(ClientError, match="enable EventBridge"):
        configure({"QueueConfigurations": [{"QueueArn": told.arn, "Events": ["s3:*"]}]})
    configure({"EventBridgeConfiguration": {}})
    assert told.take() == []


def test_events_come_again_late_and_out_of_order_from_the_seed(aws, bucket, told):
    client = aws.client("s3")
    aws.events.disturb_s3(duplicated=0.5, latest=timedelta(minutes=10))
    try:
        with aws.clock.busy():
            began = aws.clock.now()
            for number in range(30):
                client.put_object(Bucket=bucket, Key=f"{number:02}", Body=b"")
        aws.clock.advance(timedelta(minutes=10))
    finally:
        aws.events.disturb_s3()
    messages = told.take()
    keys = [message.body["detail"]["object"]["key"] for message in messages]
    assert sorted(set(keys)) == [f"{number:02}" for number in range(30)]
    assert len(keys) > 35
    assert keys != sorted(keys)
    late = [message.sent - began for message in messages]
    assert timedelta(minutes=1) < max(late) <= timedelta(minutes=10)
    assert {message.body["time"] for message in messages} == {
        began.strftime("%Y-%m-%dT%H:%M:%SZ")
    }
    assert len({message.body["id"] for message in messages}) == len(messages)


@pytest.mark.parametrize(
    "disturbance", [{"duplicated": 1}, {"latest": timedelta(seconds=-1)}]
)
def test_a_disturbance_must_make_sense(aws, disturbance):
    with pytest.raises(ValueError, match="must"):
        aws.events.disturb_s3(**disturbance)


ENDS = {
    "SUCCEEDED": {"Type": "Pass", "Output": {"done": True}, "End": True},
    "FAILED": {"Type": "Fail", "Error": "Broken", "Cause": "on purpose"},
    "TIMED_OUT": {"Type": "Wait", "Seconds": 600, "End": True},
    "ABORTED": {"Type": "Wait", "Seconds": 600, "End": True},
}


@pytest.mark.parametrize("status", ENDS)
@pytest.mark.emulates("event-source:states")
def test_every_end_of_an_execution_is_told_in_the_same_second(
    aws, new_queue, new_rule, new_machine, status
):
    client, queue = aws.client("stepfunctions"), new_queue(EVENTS)
    machine = new_machine(ENDS[status], TimeoutSeconds=60)
    new_rule(
        EventPattern={
            "source": ["aws.states"],
            "detail-type": ["Step Functions Execution Status Change"],
            "detail": {"stateMachineArn": [machine]},
        }
    ).target(queue.arn)
    with aws.clock.busy():
        arn = client.start_execution(stateMachineArn=machine, input='{"a": 1}')[
            "executionArn"
        ]
        if status == "ABORTED":
            client.stop_execution(executionArn=arn, error="Stopped", cause="by hand")
    aws.clock.advance(timedelta(minutes=2))
    started, ended = queue.take()
    told = client.describe_execution(executionArn=arn)
    assert ended.sent == told["stopDate"]
    assert started.body["detail"]["status"] == "RUNNING"
    assert started.body["detail"]["stopDate"] is None
    assert ended.body["resources"] == [arn]
    stopped = round(told["stopDate"].timestamp() * 1000)
    detail = ended.body["detail"]
    # How a redrive is told, is a matter of redrives.
    shown = {name: value for name, value in detail.items() if "redrive" not in name}
    assert shown == {
        "executionArn": arn,
        "stateMachineArn": machine,
        "name": arn.rpartition(":")[2],
        "status": status,
        "startDate": round(told["startDate"].timestamp() * 1000),
        "stopDate": stopped,
        "input": '{"a": 1}',
        "output": told.get("output"),
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "inputDetails": {"included": True},
        "outputDetails": {"included": True} if status == "SUCCEEDED" else None,
        "error": told.get("error"),
        "cause": told.get("cause"),
    }


def test_an_input_that_is_too_large_for_an_event_is_left_out(
    aws, new_queue, new_rule, new_machine
):
    queue = new_queue(EVENTS)
    machine = new_machine({"Type": "Pass", "Output": {"short": 1}, "End": True})
    new_rule(EventPattern={"detail": {"stateMachineArn": [machine]}}).target(queue.arn)
    large = json.dumps({"text": "x" * 250_000, "more": '"' * 3000})
    aws.client("stepfunctions").start_execution(stateMachineArn=machine, input=large)
    _, ended = queue.take()
    detail = ended.body["detail"]
    assert (detail["input"], detail["inputDetails"]) == (None, {"included": False})
    assert json.loads(detail["output"]) == {"short": 1}
