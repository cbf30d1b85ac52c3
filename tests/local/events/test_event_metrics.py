"""What SQS, EventBridge and its Scheduler measure."""

import json
from datetime import timedelta

import pytest

from cdk_personalize_segments.local.cloudwatch.metrics import Metric


@pytest.fixture
def values(aws):
    def read(namespace, name, **dimensions):
        metric = Metric.of("us-east-1", namespace, name, dimensions)
        end = aws.clock.now().timestamp() + 1
        return [each.value for each in aws.metrics.series(metric).between(0, end)]

    return read


def next_minute(aws):
    now = aws.clock.now()
    aws.clock.advance_to(now.replace(second=0, microsecond=0) + timedelta(minutes=1))


@pytest.mark.bridge(
    "moto.sqs.models.Queue.delete_message",
    "moto.sqs.models.SQSBackend.purge_queue",
    "moto.sqs.models.SQSBackend.receive_message",
)
@pytest.mark.emulates("metrics:AWS/SQS")
def test_queues_are_measured_at_every_minute(aws, new_queue, values):
    queue = new_queue(VisibilityTimeout="90")
    sqs, name = aws.client("sqs"), queue.url.rpartition("/")[2]

    def measured(what):
        return values("AWS/SQS", what, QueueName=name)

    next_minute(aws)
    for delay in (0, 0, 70):
        sqs.send_message(QueueUrl=queue.url, MessageBody="{}", DelaySeconds=delay)
    next_minute(aws)
    [message] = sqs.receive_message(QueueUrl=queue.url)["Messages"]
    sqs.receive_message(QueueUrl=queue.url)
    sqs.receive_message(QueueUrl=queue.url)
    next_minute(aws)
    sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"])
    next_minute(aws)
    sqs.purge_queue(QueueUrl=queue.url)
    next_minute(aws)
    prefix = "ApproximateNumberOfMessages"
    # After a minute; two are received; one comes late; one is back, one deleted.
    assert measured(f"{prefix}Visible") == [2, 1, 2, 0]
    assert measured(f"{prefix}NotVisible") == [2]
    assert measured(f"{prefix}Delayed") == [1]
    assert measured("ApproximateAgeOfOldestMessage") == [60, 120, 180]
    assert measured("NumberOfMessagesSent") == [1, 1, 1]
    assert measured("SentMessageSize") == [2, 2, 2]
    assert measured("NumberOfMessagesReceived") == [1, 1]
    assert measured("NumberOfEmptyReceives") == [1]
    assert measured("NumberOfMessagesDeleted") == [1]
    # A queue that is not used is not measured after six hours.
    aws.clock.advance(timedelta(hours=8))
    assert len(measured(f"{prefix}Visible")) == 3 + 6 * 60 - 1


@pytest.mark.emulates("metrics:AWS/SQS")
def test_messages_that_stay_are_measured_until_they_expire(aws, new_queue, values):
    queue = new_queue(MessageRetentionPeriod="86400")
    name = queue.url.rpartition("/")[2]
    next_minute(aws)
    aws.client("sqs").send_message(QueueUrl=queue.url, MessageBody="{}")
    aws.clock.advance(timedelta(days=2))
    visible = values("AWS/SQS", "ApproximateNumberOfMessagesVisible", QueueName=name)
    assert visible == [1] * (24 * 60 - 1)


@pytest.mark.emulates("metrics:AWS/Events")
def test_rules_count_what_they_deliver_and_lose(aws, new_queue, values):
    events, target = aws.client("events"), new_queue("events.amazonaws.com")
    lost = new_queue("events.amazonaws.com")
    events.put_rule(Name="measured", EventPattern='{"source": ["measured"]}')
    letters = {"DeadLetterConfig": {"Arn": lost.arn}}
    refusing = new_queue()
    events.put_targets(
        Rule="measured",
        Targets=[
            {"Id": "good", "Arn": target.arn},
            {"Id": "bad", "Arn": refusing.arn, **letters},
            {
                "Id": "worse",
                "Arn": refusing.arn,
                "DeadLetterConfig": {"Arn": refusing.arn},
            },
        ],
    )
    events.put_events(
        Entries=[{"Source": "measured", "DetailType": "a", "Detail": "{}"}]
    )
    aws.clock.settle()
    counts = {
        name: len(values("AWS/Events", name, RuleName="measured"))
        for name in (
            "Invocations",
            "FailedInvocations",
            "InvocationsSentToDlq",
            "InvocationsFailedToBeSentToDlq",
        )
    }
    assert list(counts.values()) == [3, 2, 1, 1]
    events.remove_targets(Rule="measured", Ids=["good", "bad", "worse"])
    events.delete_rule(Name="measured")


@pytest.mark.emulates("metrics:AWS/Scheduler")
def test_schedules_count_what_they_try_and_drop(aws, new_queue, new_role, values):
    target = new_queue()
    scheduler = aws.client("scheduler")
    scheduler.create_schedule_group(Name="measured")
    at = aws.clock.now() + timedelta(seconds=10)
    scheduler.create_schedule(
        Name="once",
        GroupName="measured",
        ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": target.arn,
            "RoleArn": new_role("scheduler.amazonaws.com"),
            "Input": json.dumps({}),
            "RetryPolicy": {"MaximumRetryAttempts": 1},
            "DeadLetterConfig": {"Arn": target.arn},
        },
    )
    aws.events.throttle(target.arn, 2)
    aws.clock.advance(timedelta(minutes=1))
    counts = {
        name: len(values("AWS/Scheduler", name, ScheduleGroup="measured"))
        for name in (
            "InvocationAttemptCount",
            "TargetErrorCount",
            "TargetErrorThrottledCount",
            "InvocationDroppedCount",
            "InvocationsSentToDeadLetterCount",
            "InvocationsFailedToBeSentToDeadLetterCount",
        )
    }
    assert list(counts.values()) == [2, 2, 2, 1, 0, 1]
