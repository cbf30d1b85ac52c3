"""What functions may do with topics, queues, buses and schedules, by their role."""

import json

import pytest
from botocore.exceptions import ClientError

from .conftest import new_name


@pytest.fixture
def as_role(aws, new_role):
    """Give a client with the rights of a role, which has some policy statements."""

    def client(service, *statements):
        role = new_role("lambda.amazonaws.com")
        aws.client("iam").put_role_policy(
            RoleName=role.rpartition("/")[2],
            PolicyName="given",
            PolicyDocument=json.dumps(
                {"Version": "2012-10-17", "Statement": list(statements)}
            ),
        )
        return aws.create_client(service, "us-east-1", **aws.sessions.issue(role)), role

    return client


def allow(action, resource):
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def refused(error):
    return error.value.response["Error"]["Code"] in (
        "AccessDenied",
        "AccessDeniedException",
    )


def test_a_role_sends_and_receives_where_it_may(as_role, new_queue):
    queue, other = new_queue(), new_queue()
    client, _ = as_role(
        "sqs", allow(["sqs:SendMessage", "sqs:ReceiveMessage"], queue.arn)
    )
    client.send_message(QueueUrl=queue.url, MessageBody="1")
    client.send_message_batch(
        QueueUrl=queue.url, Entries=[{"Id": "1", "MessageBody": "2"}]
    )
    assert client.receive_message(QueueUrl=queue.url)["Messages"]
    for call in (
        lambda: client.send_message(QueueUrl=other.url, MessageBody="1"),
        lambda: client.purge_queue(QueueUrl=queue.url),
    ):
        with pytest.raises(ClientError, match="not authorized to perform") as error:
            call()
        assert refused(error)


def test_a_queues_policy_lets_a_role_in_or_keeps_it_out(as_role, new_queue):
    queue = new_queue()
    client, role = as_role("sqs", allow("s3:GetObject", "*"))
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": role},
        "Action": "sqs:SendMessage",
        "Resource": queue.arn,
    }
    with pytest.raises(ClientError, match="no identity-based policy allows"):
        client.send_message(QueueUrl=queue.url, MessageBody="1")
    queue.set(Policy={"Version": "2012-10-17", "Statement": [statement]})
    client.send_message(QueueUrl=queue.url, MessageBody="1")
    denial = {**statement, "Effect": "Deny"}
    queue.set(Policy={"Version": "2012-10-17", "Statement": [statement, denial]})
    with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
        client.send_message(QueueUrl=queue.url, MessageBody="1")


def test_a_role_publishes_where_it_may(aws, as_role):
    topic = aws.client("sns").create_topic(Name=new_name("topic"))["TopicArn"]
    client, _ = as_role("sns", allow("sns:Publish", topic))
    client.publish(TopicArn=topic, Message="1")
    entry = {"Id": "1", "Message": "2"}
    client.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[entry])
    with pytest.raises(ClientError, match="sns:Publish") as error:
        client.publish(TopicArn=f"{topic}-other", Message="1")
    assert refused(error)
    with pytest.raises(ClientError, match="sns:Subscribe"):
        client.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")


def test_publishing_to_an_encrypted_topic_takes_its_key(aws, as_role):
    kms = aws.client("kms")
    key, other = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    topic = aws.client("sns").create_topic(
        Name=new_name("topic"), Attributes={"KmsMasterKeyId": key}
    )["TopicArn"]
    publish = allow("sns:Publish", topic)
    client, _ = as_role(
        "sns", publish, allow(["kms:Decrypt", "kms:GenerateDataKey*"], key)
    )
    client.publish(TopicArn=topic, Message="1")
    for action, resource in (
        ("kms:Decrypt", key),
        ("kms:GenerateDataKey*", key),
        ("kms:*", other),
    ):
        client, _ = as_role("sns", publish, allow(action, resource))
        with pytest.raises(ClientError, match="kms:") as error:
            client.publish(TopicArn=topic, Message="1")
        assert refused(error)


def test_whoever_publishes_may_use_the_key_that_aws_manages(aws, as_role):
    topic = aws.client("sns").create_topic(
        Name=new_name("topic"), Attributes={"KmsMasterKeyId": "alias/aws/sns"}
    )["TopicArn"]
    client, _ = as_role("sns", allow("sns:Publish", topic))
    assert client.publish(TopicArn=topic, Message="1")["MessageId"]


def test_a_role_puts_events_from_where_it_may(as_role):
    bus = "arn:aws:events:us-east-1:123456789012:event-bus/default"
    client, _ = as_role(
        "events",
        {
            **allow("events:PutEvents", bus),
            "Condition": {"StringEquals": {"events:source": "mine"}},
        },
    )
    entry = {"Source": "mine", "DetailType": "Told", "Detail": "{}"}
    assert client.put_events(Entries=[entry])["FailedEntryCount"] == 0
    with pytest.raises(ClientError, match="events:PutEvents") as error:
        client.put_events(Entries=[entry, {**entry, "Source": "yours"}])
    assert refused(error)
    with pytest.raises(ClientError, match="DescribeRule"):
        client.describe_rule(Name="any")


def test_a_role_makes_schedules_if_it_may_pass_their_role(
    aws, as_role, new_queue, new_role
):
    passed, queue = new_role("scheduler.amazonaws.com", "*"), new_queue()
    schedules = f"arn:aws:scheduler:us-east-1:{aws.account_id}:schedule/default/*"
    settings = {
        "ScheduleExpression": "rate(1 hour)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": queue.arn, "RoleArn": passed},
    }
    client, _ = as_role("scheduler", allow("scheduler:*", schedules))
    with pytest.raises(ClientError, match="iam:PassRole"):
        client.create_schedule(Name=new_name("schedule"), **settings)
    client, _ = as_role(
        "scheduler", allow("scheduler:*", schedules), allow("iam:PassRole", passed)
    )
    name = new_name("schedule")
    client.create_schedule(Name=name, **settings)
    assert client.get_schedule(Name=name)["Name"] == name
    client.delete_schedule(Name=name)
    with pytest.raises(ClientError, match="GET /schedules"):
        client.list_schedules()
