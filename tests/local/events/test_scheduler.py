"""Schedules: when they are due, what they start, and with what."""

import json
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from .conftest import executions, new_name

SCHEDULER = "scheduler.amazonaws.com"
OFF = {"Mode": "OFF"}


@pytest.fixture(scope="module")
def role(new_role):
    return new_role(SCHEDULER, "*")


@pytest.fixture
def schedule(aws, role):
    """Create schedules, which go with the test."""
    client, made = aws.client("scheduler"), []

    def create(expression, target_arn, *, target=None, **settings):
        name = new_name("schedule")
        client.create_schedule(
            Name=name,
            ScheduleExpression=expression,
            FlexibleTimeWindow=settings.pop("FlexibleTimeWindow", OFF),
            Target={"Arn": target_arn, "RoleArn": role, **(target or {})},
            **settings,
        )
        made.append((name, settings.get("GroupName", "default")))
        return name

    yield create
    for name, group in made:
        try:
            client.delete_schedule(Name=name, GroupName=group)
        except client.exceptions.ResourceNotFoundException:
            continue


def at(instant):
    return f"at({instant.strftime('%Y-%m-%dT%H:%M:%S')})"


def seconds(aws, count):
    """Give the instant in so many seconds, whole."""
    return (aws.clock.now() + timedelta(seconds=count)).replace(microsecond=0)


@pytest.mark.bridge("moto.scheduler.models.EventBridgeSchedulerBackend.create_schedule")
@pytest.mark.emulates("scheduler:CreateSchedule", "scheduler:GetSchedule")
def test_a_schedule_starts_executions_when_time_passes(aws, schedule, new_machine):
    machine = new_machine({"Type": "Pass", "End": True})
    due = seconds(aws, 100)
    name = schedule(
        "rate(1 hour)",
        machine,
        StartDate=due,
        Description="every hour",
        target={
            "Input": json.dumps(
                {
                    "at": "<aws.scheduler.scheduled-time>",
                    "by": "<aws.scheduler.schedule-arn>",
                    "try": "<aws.scheduler.attempt-number>",
                    "id": "<aws.scheduler.execution-id>",
                }
            )
        },
    )
    aws.clock.settle()
    assert executions(aws, machine) == []
    aws.clock.advance(timedelta(hours=2, seconds=110))
    told = aws.client("scheduler").get_schedule(Name=name)
    found = executions(aws, machine)
    times = [due + timedelta(hours=hours) for hours in range(3)]
    assert [each["startDate"] for each in found] == times
    inputs = [json.loads(each["input"]) for each in found]
    assert [each["at"] for each in inputs] == [
        f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in times
    ]
    assert {each["by"] for each in inputs} == {told["Arn"]}
    assert {each["try"] for each in inputs} == {"1"}
    assert len({each["id"] for each in inputs}) == 3
    assert (told["State"], told["Description"]) == ("ENABLED", "every hour")
    assert (told["StartDate"], told["ScheduleExpressionTimezone"]) == (due, "UTC")
    assert told["Target"]["RetryPolicy"] == {
        "MaximumEventAgeInSeconds": 86_400,
        "MaximumRetryAttempts": 185,
    }


def test_a_rate_without_a_start_begins_at_once(aws, schedule, new_queue):
    queue, began = new_queue(), aws.clock.now()
    schedule("rate(2 days)", queue.arn)
    aws.clock.advance(timedelta(days=3))
    assert [message.sent - began for message in queue.take()] == [
        timedelta(0),
        timedelta(days=2),
    ]


@pytest.mark.emulates("event-target:sqs")
def test_without_an_input_the_target_is_told_of_the_schedule(aws, schedule, new_queue):
    queue, due = new_queue(), seconds(aws, 60)
    name = schedule(at(due), queue.arn)
    aws.clock.advance_to(due)
    [message] = queue.take()
    body = message.body
    assert (message.sent, body["detail-type"]) == (due, "Scheduled Event")
    assert (body["source"], body["detail"]) == ("aws.scheduler", "{}")
    assert body["resources"][0].endswith(f":schedule/default/{name}")


def test_a_schedule_is_local_and_ends(aws, schedule, new_queue):
    queue = new_queue()
    now = aws.clock.now()
    schedule(
        "cron(0 9 * * ? *)",
        queue.arn,
        ScheduleExpressionTimezone="Asia/Tokyo",
        EndDate=now + timedelta(days=2),
        target={"Input": "{}"},
    )
    aws.clock.advance(timedelta(days=4))
    sent = [message.sent for message in queue.take()]
    assert [f"{each:%H:%M}" for each in sent] == ["00:00", "00:00"]
    assert all(now <= each <= now + timedelta(days=2) for each in sent)


def test_a_flexible_window_moves_the_start_within_it(aws, schedule, new_queue):
    queue, due = new_queue(), seconds(aws, 60)
    schedule(
        "rate(1 hour)",
        queue.arn,
        StartDate=due,
        FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
        target={"Input": '"<aws.scheduler.scheduled-time>"'},
    )
    aws.clock.advance(timedelta(hours=20))
    messages = queue.take()
    late = [
        message.sent - (due + timedelta(hours=hours))
        for hours, message in enumerate(messages)
    ]
    assert len(messages) >= 19
    assert all(timedelta(0) <= each < timedelta(minutes=15) for each in late)
    assert len(set(late)) > 10
    assert messages[1].body == f"{due + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.bridge(
    "moto.scheduler.models.EventBridgeSchedulerBackend.delete_schedule",
    "moto.scheduler.models.EventBridgeSchedulerBackend.update_schedule",
    "moto.scheduler.responses.EventBridgeSchedulerResponse.update_schedule",
)
@pytest.mark.emulates("scheduler:UpdateSchedule", "scheduler:DeleteSchedule")
def test_a_schedule_is_changed_switched_and_deleted(aws, schedule, new_queue, role):
    client, queue, other = aws.client("scheduler"), new_queue(), new_queue()
    name = schedule("rate(1 hour)", queue.arn, State="DISABLED", Description="old")
    aws.clock.advance(timedelta(hours=2))
    assert queue.take() == []
    client.update_schedule(
        Name=name,
        ScheduleExpression="rate(30 minutes)",
        FlexibleTimeWindow=OFF,
        Target={"Arn": other.arn, "RoleArn": role, "Input": "1"},
    )
    with pytest.raises(ClientError, match="Invalid Schedule Expression"):
        client.update_schedule(
            Name=name,
            ScheduleExpression="rate(0 minutes)",
            FlexibleTimeWindow=OFF,
            Target={"Arn": other.arn, "RoleArn": role},
        )
    told = client.get_schedule(Name=name)
    assert "Description" not in told
    assert told["State"] == "ENABLED"
    aws.clock.advance(timedelta(hours=1))
    assert [message.body for message in other.take()] == [1, 1, 1]
    client.delete_schedule(Name=name)
    with pytest.raises(ClientError, match=f"Schedule {name} does not exist"):
        client.get_schedule(Name=name)
    aws.clock.advance(timedelta(hours=1))
    assert other.take() == []


def test_a_schedule_that_is_complete_may_go(aws, schedule, new_queue):
    client, queue, due = aws.client("scheduler"), new_queue(), seconds(aws, 60)
    kept = schedule(at(due), queue.arn)
    gone = schedule(at(due), queue.arn, ActionAfterCompletion="DELETE")
    aws.clock.advance_to(due)
    assert len(queue.take()) == 2
    assert client.get_schedule(Name=kept)["Name"] == kept
    with pytest.raises(ClientError, match="does not exist"):
        client.get_schedule(Name=gone)


@pytest.mark.emulates("event-target:sns", "event-target:events")
def test_a_schedule_reaches_topics_and_buses(aws, schedule, new_queue, new_rule):
    topic = aws.client("sns").create_topic(Name=new_name("topic"))["TopicArn"]
    address, source, due = (
        f"{new_name('x')}@example.com",
        new_name("s"),
        seconds(aws, 9),
    )
    aws.client("sns").subscribe(TopicArn=topic, Protocol="email", Endpoint=address)
    schedule(at(due), topic, target={"Input": "wake up"})
    queue = new_queue("events.amazonaws.com")
    new_rule(EventPattern={"source": [source]}).target(queue.arn)
    schedule(
        at(due),
        f"arn:aws:events:us-east-1:{aws.account_id}:event-bus/default",
        target={
            "Input": '{"a": 1}',
            "EventBridgeParameters": {"DetailType": "Woken", "Source": source},
        },
    )
    aws.clock.advance_to(due)
    assert [each.body for each in aws.messages(address)] == ["wake up"]
    [message] = queue.take()
    assert (message.body["detail-type"], message.body["detail"]) == ("Woken", {"a": 1})


def test_what_cannot_be_started_is_a_dead_letter(aws, schedule, new_queue, new_machine):
    letters, due = new_queue(), seconds(aws, 60)
    machine = new_machine({"Type": "Pass", "End": True})
    aws.client("stepfunctions").delete_state_machine(stateMachineArn=machine)
    name = schedule(
        at(due),
        machine,
        target={"DeadLetterConfig": {"Arn": letters.arn}, "Input": '{"a": 1}'},
    )
    aws.clock.advance_to(due)
    [letter] = letters.take()
    assert letter.body == {"a": 1}
    attributes = dict(letter.attributes)
    assert len(attributes.pop("EXECUTION_ID")) == 16
    assert attributes.pop("ERROR_MESSAGE")
    assert attributes == {
        "ERROR_CODE": "StateMachineDoesNotExist",
        "IS_PAYLOAD_TRUNCATED": "false",
        "RETRY_ATTEMPTS": "0",
        "SCHEDULED_TIME": f"{due:%Y-%m-%dT%H:%M:%SZ}",
        "SCHEDULE_ARN": aws.client("scheduler").get_schedule(Name=name)["Arn"],
        "TARGET_ARN": machine,
    }


def test_a_queue_or_function_that_is_gone_is_a_dead_letter(aws, schedule, new_queue):
    letters, gone = new_queue(), new_queue()
    queue = gone.arn
    function = f"{queue.replace(':sqs:', ':lambda:').rpartition(':')[0]}:function:gone"
    gone.client.delete_queue(QueueUrl=gone.url)
    due = seconds(aws, 60)
    for target in (queue, function):
        schedule(
            at(due),
            target,
            target={"DeadLetterConfig": {"Arn": letters.arn}, "Input": "{}"},
        )
    aws.clock.advance_to(due)
    assert {
        each.attributes["TARGET_ARN"]: each.attributes["ERROR_CODE"]
        for each in letters.take()
    } == {
        queue: "AWS.SimpleQueueService.NonExistentQueue",
        function: "ResourceNotFoundException",
    }


@pytest.mark.bridge(
    "moto.scheduler.responses.EventBridgeSchedulerResponse.create_schedule"
)
def test_the_role_must_be_for_the_schedules_group(aws, new_role, new_queue):
    queue, letters, client = new_queue(), new_queue(), aws.client("scheduler")
    group = f"arn:aws:scheduler:us-east-1:{aws.account_id}:schedule-group"
    good = new_role(
        SCHEDULER,
        "sqs:SendMessage",
        StringEquals={
            "aws:SourceArn": f"{group}/default",
            "aws:SourceAccount": aws.account_id,
        },
    )
    other = new_role(SCHEDULER, StringEquals={"aws:SourceArn": f"{group}/other"})
    no_rights = new_role(SCHEDULER)
    due = seconds(aws, 60)

    def create(role):
        client.create_schedule(
            Name=new_name("schedule"),
            ScheduleExpression=at(due),
            FlexibleTimeWindow=OFF,
            Target={
                "Arn": queue.arn,
                "RoleArn": role,
                "DeadLetterConfig": {"Arn": letters.arn},
            },
        )

    with pytest.raises(ClientError, match="must allow AWS EventBridge Scheduler"):
        create(other)
    create(good)
    create(no_rights)
    aws.clock.advance_to(due)
    assert len(queue.take()) == 1
    # The role may not send there either.
    assert letters.take() == []


@pytest.mark.bridge(
    "moto.scheduler.models.EventBridgeSchedulerBackend.create_schedule_group",
    "moto.scheduler.models.EventBridgeSchedulerBackend.delete_schedule_group",
)
@pytest.mark.emulates(
    "scheduler:CreateScheduleGroup",
    "scheduler:DeleteScheduleGroup",
    "scheduler:GetScheduleGroup",
    "scheduler:ListScheduleGroups",
    "scheduler:ListSchedules",
    "scheduler:TagResource",
    "scheduler:UntagResource",
    "scheduler:ListTagsForResource",
)
def test_groups_hold_schedules_and_take_them_along(aws, schedule, new_queue):
    client, queue, group = aws.client("scheduler"), new_queue(), new_name("group")
    arn = client.create_schedule_group(Name=group, Tags=[{"Key": "a", "Value": "1"}])[
        "ScheduleGroupArn"
    ]
    assert client.get_schedule_group(Name=group)["Arn"] == arn
    assert group in {
        each["Name"] for each in client.list_schedule_groups()["ScheduleGroups"]
    }
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    client.untag_resource(ResourceArn=arn, TagKeys=["a"])
    tags = client.list_tags_for_resource(ResourceArn=arn)["Tags"]
    assert tags == [{"Key": "b", "Value": "2"}]
    name = schedule("rate(1 hour)", queue.arn, GroupName=group)
    listed = client.list_schedules(GroupName=group)["Schedules"]
    assert [(each["Name"], each["GroupName"]) for each in listed] == [(name, group)]
    aws.clock.settle()
    assert len(queue.take()) == 1
    with pytest.raises(ClientError, match="already exists") as caught:
        client.create_schedule_group(Name=group)
    assert caught.value.response["Error"]["Code"] == "ConflictException"
    client.delete_schedule_group(Name=group)
    aws.clock.advance(timedelta(hours=2))
    assert queue.take() == []
    with pytest.raises(ClientError, match="does not exist"):
        client.get_schedule(Name=name, GroupName=group)
    with pytest.raises(ClientError, match="does not exist"):
        schedule("rate(1 hour)", queue.arn, GroupName=group)


QUEUE = "arn:aws:sqs:us-east-1:123456789012:q"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"expression": "rate(1 week)"}, "Invalid Schedule Expression"),
        ({"ScheduleExpressionTimezone": "Mars/Olympus"}, "no time zone"),
        ({"expression": "at(2001-01-01T00:00:00)"}, "is past"),
        ({"StartDate": "2001-01-01T00:00:00Z"}, "earlier than 5 minutes ago"),
        ({"EndDate": "2001-01-01T00:00:00Z"}, "EndDate"),
        ({"KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/k"}, "KmsKeyArn"),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "MaximumWindowInMinutes"),
        (
            {"FlexibleTimeWindow": {"Mode": "OFF", "MaximumWindowInMinutes": 5}},
            "must not be set",
        ),
        ({"target_arn": "arn:aws:scheduler:::aws-sdk:s3:putObject"}, "no universal"),
        ({"target_arn": "arn:aws:ecs:us-east-1:123456789012:cluster/c"}, "ecs"),
        ({"target": {"SqsParameters": {"MessageGroupId": "g"}}}, "SqsParameters"),
        (
            {"target_arn": "arn:aws:events:us-east-1:123456789012:event-bus/default"},
            "EventBridgeParameters",
        ),
        ({"target": {"DeadLetterConfig": {"Arn": f"{QUEUE}.fifo"}}}, "fifo"),
        (
            {
                "target_arn": "arn:aws:states:us-east-1:123456789012:stateMachine:m",
                "target": {"Input": "text"},
            },
            "valid JSON",
        ),
    ],
)
def test_a_schedule_that_is_not_honoured_is_refused(schedule, settings, problem):
    settings = dict(settings)
    expression = settings.pop("expression", "rate(1 hour)")
    with pytest.raises(ClientError, match=problem):
        schedule(expression, settings.pop("target_arn", QUEUE), **settings)
