"""Rules: from events on a bus to their targets."""

import json
import logging
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from .conftest import allowing, executions, new_name

EVENTS = "events.amazonaws.com"


@pytest.fixture
def source():
    """Name a source of events that no other test uses."""
    return new_name("source")


@pytest.fixture
def put(aws, source):
    """Put an event on the bus, and wait for what comes of it."""

    def put_event(detail, **settings):
        entry = {"Source": source, "DetailType": "Told", "Detail": json.dumps(detail)}
        answer = aws.client("events").put_events(Entries=[{**entry, **settings}])
        aws.clock.settle()
        return answer["Entries"][0]

    return put_event


@pytest.mark.bridge("moto.events.models.EventsBackend.put_events")
@pytest.mark.emulates(
    "events:PutEvents", "events:PutRule", "events:PutTargets", "event-target:sqs"
)
def test_an_event_reaches_the_queue_of_a_matching_rule(
    aws, new_rule, new_queue, source, put
):
    queue = new_queue(EVENTS)
    new_rule(
        EventPattern={"source": [source], "detail": {"size": [{"numeric": [">", 5]}]}}
    ).target(queue.arn)
    now = aws.clock.now()
    put({"size": 5})
    told = put({"size": 6}, Resources=["arn:aws:x"])
    [message] = queue.take()
    assert message.body == {
        "version": "0",
        "id": told["EventId"],
        "detail-type": "Told",
        "source": source,
        "account": aws.account_id,
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "us-east-1",
        "resources": ["arn:aws:x"],
        "detail": {"size": 6},
    }
    assert message.sent == now


@pytest.mark.emulates("event-target:states")
def test_an_event_starts_an_execution(
    aws, new_rule, new_role, new_machine, source, put
):
    machine = new_machine({"Type": "Pass", "End": True})
    rule = new_rule(EventPattern={"source": [source]})
    role = new_role(
        EVENTS,
        "states:StartExecution",
        ArnEquals={"aws:SourceArn": rule.arn},
        StringEquals={"aws:SourceAccount": aws.account_id},
    )
    rule.target(machine, RoleArn=role, InputPath="$.detail.run")
    put({"run": {"queries": "all"}})
    [execution] = executions(aws, machine)
    assert json.loads(execution["input"]) == {"queries": "all"}


@pytest.mark.emulates("event-target:sns")
def test_an_event_reaches_a_topic(aws, new_rule, source, put):
    client, address = aws.client("sns"), f"{source}@example.com"
    topic = client.create_topic(Name=new_name("topic"))["TopicArn"]
    client.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)
    rule = new_rule(EventPattern={"source": [source]})
    rule.target(topic, Input='"fixed"')
    put({})
    assert aws.messages(address) == []
    client.set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=json.dumps(
            allowing(
                EVENTS, "sns:Publish", topic, ArnEquals={"aws:SourceArn": rule.arn}
            )
        ),
    )
    put({})
    [message] = aws.messages(address)
    assert (message.body, message.at) == ('"fixed"', aws.clock.now())


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ('{"key": <key>, "size": <size>}', {"key": 'a "b"', "size": 3}),
        ('{"told": "<key> of <size>"}', {"told": 'a "b" of 3'}),
        ('"<key> is <row> in <aws.events.rule-name>"', 'a "b" is {"x":1} in RULE'),
        ('{"all": <rows>, "none": <none>}', {"all": [{"x": 1}], "none": None}),
        ('{"none": "<none>!"}', {"none": "!"}),
        ('{"slash": <slash>}', {"slash": 4}),
        ('{"rule": "<aws.events.rule-arn>"}', {"rule": "ARN"}),
        (
            '{"event": <aws.events.event.json>, "when": <aws.events.event.'
            'ingestion-time>, "head": <aws.events.event>}',
            None,
        ),
    ],
)
@pytest.mark.emulates("events:PutTargets")
def test_a_template_is_filled_in(new_rule, new_queue, source, put, template, text):
    queue, rule = new_queue(EVENTS), new_rule(EventPattern={"source": [source]})
    paths = {
        "key": "$.detail.key",
        "slash": "$.detail.a/b",
        "size": "$.detail.size",
        "row": "$.detail.rows[0]",
        "rows": "$.detail.rows[*]",
        "none": "$.detail.none",
    }
    used = {name: path for name, path in paths.items() if f"<{name}>" in template}
    rule.target(
        queue.arn, InputTransformer={"InputPathsMap": used, "InputTemplate": template}
    )
    detail = {"key": 'a "b"', "size": 3, "rows": [{"x": 1}], "a/b": 4}
    told = put(detail)
    [message] = queue.take()
    if text is None:
        event = message.body["event"]
        assert (event["id"], event["detail"]) == (told["EventId"], detail)
        assert message.body["when"] == event["time"]
        assert message.body["head"] == {
            name: value for name, value in event.items() if name != "detail"
        }
    else:
        expected = json.dumps(text).replace("RULE", rule.name).replace("ARN", rule.arn)
        assert message.body == json.loads(expected)


def test_a_delivery_that_is_not_allowed_is_kept_and_told(
    new_rule, new_queue, source, put, caplog
):
    queue, letters = new_queue(), new_queue()
    rule = new_rule(EventPattern={"source": [source]})
    rule.target(queue.arn, DeadLetterConfig={"Arn": letters.arn})
    letters.allow(EVENTS, ArnEquals={"aws:SourceArn": rule.arn})
    # The queue's policy is for another rule.
    queue.allow(EVENTS, ArnEquals={"aws:SourceArn": f"{rule.arn}-other"})
    with caplog.at_level(logging.WARNING):
        told = put({})
    assert queue.take() == []
    [letter] = letters.take()
    assert letter.body["id"] == told["EventId"]
    assert letter.attributes.pop("ERROR_MESSAGE").startswith(f"{EVENTS} is not allowed")
    assert letter.attributes == {
        "ERROR_CODE": "NO_PERMISSIONS",
        "RETRY_ATTEMPTS": "0",
        "RULE_ARN": rule.arn,
        "TARGET_ARN": queue.arn,
    }
    assert f"could not deliver to {queue.arn}" in caplog.text


def test_a_role_that_may_not_start_executions_starts_none(
    aws, new_rule, new_role, new_machine, new_queue, source, put
):
    machine, letters = new_machine({"Type": "Pass", "End": True}), new_queue(EVENTS)
    rule = new_rule(EventPattern={"source": [source]})
    for role in (
        new_role(EVENTS, "states:StopExecution"),
        new_role("scheduler.amazonaws.com", "states:StartExecution"),
        "arn:aws:iam::123456789012:role/missing",
    ):
        rule.target(machine, RoleArn=role, DeadLetterConfig={"Arn": letters.arn})
        put({})
        [letter] = letters.take()
        assert letter.attributes["ERROR_CODE"] == "NO_PERMISSIONS"
    assert executions(aws, machine) == []


def test_a_target_that_is_gone_is_a_dead_letter(new_rule, new_queue, source, put):
    queue, letters = new_queue(EVENTS), new_queue(EVENTS)
    gone = queue.arn
    queue.client.delete_queue(QueueUrl=queue.url)
    rule = new_rule(EventPattern={"source": [source]})
    for service, name in (("sqs", ""), ("sns", ""), ("lambda", "function:")):
        kind = gone.replace(":sqs:", f":{service}:")
        arn = f"{kind.rpartition(':')[0]}:{name}{kind.rpartition(':')[2]}"
        rule.target(arn, DeadLetterConfig={"Arn": letters.arn})
        put({})
        [letter] = letters.take()
        assert letter.attributes["TARGET_ARN"] == arn
        assert letter.attributes["ERROR_CODE"] == "NO_RESOURCE"


def test_a_throttled_delivery_is_tried_again(aws, new_rule, new_queue, source, put):
    queue = new_queue(EVENTS)
    new_rule(EventPattern={"source": [source]}).target(queue.arn)
    aws.events.throttle(queue.arn, 3)
    began = aws.clock.now()
    put({})
    aws.clock.advance(timedelta(minutes=1))
    [message] = queue.take()
    # After 1, 2 and 4 seconds.
    assert message.sent == began + timedelta(seconds=7)


@pytest.mark.parametrize(
    ("policy", "condition", "retries"),
    [
        ({"MaximumRetryAttempts": 2}, "MaximumRetryAttempts", "2"),
        ({"MaximumRetryAttempts": 0}, "MaximumRetryAttempts", "0"),
        ({"MaximumEventAgeInSeconds": 60}, "MaximumEventAgeInSeconds", "5"),
    ],
)
def test_retries_end_as_the_policy_says(
    aws, new_rule, new_queue, source, put, policy, condition, retries
):
    queue, letters = new_queue(EVENTS), new_queue(EVENTS)
    new_rule(EventPattern={"source": [source]}).target(
        queue.arn, RetryPolicy=policy, DeadLetterConfig={"Arn": letters.arn}
    )
    aws.events.throttle(queue.arn, int(retries) + 1)
    put({})
    aws.clock.advance(timedelta(minutes=5))
    [letter] = letters.take()
    assert letter.attributes["EXHAUSTED_RETRY_CONDITION"] == condition
    assert letter.attributes["RETRY_ATTEMPTS"] == retries
    assert letter.attributes["ERROR_CODE"] == "THROTTLING"
    assert queue.take() == []


@pytest.mark.emulates(
    "events:DisableRule",
    "events:EnableRule",
    "events:DescribeRule",
    "events:ListTargetsByRule",
    "events:RemoveTargets",
    "events:ListRules",
)
def test_rules_are_switched_and_lose_targets(aws, new_rule, new_queue, source, put):
    client, queue = aws.client("events"), new_queue(EVENTS)
    rule = new_rule(EventPattern={"source": [source]}, Description="why")
    rule.target(queue.arn)
    client.disable_rule(Name=rule.name)
    told = client.describe_rule(Name=rule.name)
    assert (told["State"], told["Description"]) == ("DISABLED", "why")
    put({})
    client.enable_rule(Name=rule.name)
    assert queue.take() == []
    put({})
    assert len(queue.take()) == 1
    assert [each["Id"] for each in _targets(client, rule)] == ["only"]
    client.remove_targets(Rule=rule.name, Ids=["only"])
    assert _targets(client, rule) == []
    put({})
    assert queue.take() == []
    listed = client.list_rules(NamePrefix=rule.name)["Rules"]
    assert [each["Arn"] for each in listed] == [rule.arn]


def _targets(client, rule):
    return client.list_targets_by_rule(Rule=rule.name)["Targets"]


@pytest.mark.emulates(
    "events:CreateEventBus",
    "events:DeleteEventBus",
    "events:DescribeEventBus",
    "events:ListEventBuses",
    "events:DeleteRule",
)
def test_a_bus_of_its_own_has_rules_of_its_own(aws, new_queue, source, put):
    client, queue, bus = aws.client("events"), new_queue(EVENTS), new_name("bus")
    arn = client.create_event_bus(Name=bus)["EventBusArn"]
    assert client.describe_event_bus(Name=bus)["Arn"] == arn
    listed = client.list_event_buses(NamePrefix=bus)["EventBuses"]
    assert [each["Arn"] for each in listed] == [arn]
    client.put_rule(
        Name="own", EventBusName=bus, EventPattern=json.dumps({"source": [source]})
    )
    client.put_targets(
        Rule="own", EventBusName=bus, Targets=[{"Id": "1", "Arn": queue.arn}]
    )
    put({"on": "default"})
    put({"on": "own"}, EventBusName=bus)
    put({"on": "own, by ARN"}, EventBusName=arn)
    assert [each.body["detail"]["on"] for each in queue.take()] == [
        "own",
        "own, by ARN",
    ]
    client.remove_targets(Rule="own", EventBusName=bus, Ids=["1"])
    client.delete_rule(Name="own", EventBusName=bus)
    client.delete_event_bus(Name=bus)
    with pytest.raises(ClientError, match="does not exist"):
        client.describe_event_bus(Name=bus)


@pytest.mark.bridge(
    "moto.events.models.EventsBackend.put_rule",
    "moto.events.models.EventsBackend.disable_rule",
    "moto.events.models.EventsBackend.enable_rule",
)
def test_a_scheduled_rule_fires_when_time_passes(aws, new_rule, new_queue):
    queue = new_queue(EVENTS)
    rule = new_rule(ScheduleExpression="rate(10 minutes)")
    rule.target(queue.arn)
    began = aws.clock.now()
    aws.clock.advance(timedelta(minutes=25))
    aws.client("events").disable_rule(Name=rule.name)
    aws.clock.advance(timedelta(minutes=25))
    messages = queue.take()
    assert [message.sent - began for message in messages] == [
        timedelta(minutes=10),
        timedelta(minutes=20),
    ]
    assert {message.body["detail-type"] for message in messages} == {"Scheduled Event"}
    assert messages[0].body["resources"] == [rule.arn]
    aws.client("events").enable_rule(Name=rule.name)
    aws.clock.advance(timedelta(minutes=15))
    assert len(queue.take()) == 1


@pytest.mark.bridge("moto.events.models.EventsBackend.delete_rule")
def test_a_rule_that_is_deleted_is_due_no_more(aws):
    client, name = aws.client("events"), new_name("rule")
    arn = client.put_rule(Name=name, ScheduleExpression="rate(1 minute)")["RuleArn"]
    recurring = aws.events._rules._recurrences._next
    assert arn in recurring
    client.delete_rule(Name=name)
    assert arn not in recurring


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"Source": ""}, "InvalidArgument"),
        ({"DetailType": ""}, "InvalidArgument"),
        ({"Detail": "{"}, "MalformedDetail"),
        ({"Detail": "[]"}, "MalformedDetail"),
        ({"Source": "aws.s3"}, "NotAuthorizedForSourceException"),
    ],
)
def test_an_event_that_is_malformed_is_told(aws, entry, code):
    good = {"Source": "mine", "DetailType": "Told", "Detail": "{}"}
    answer = aws.client("events").put_events(Entries=[good, {**good, **entry}])
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][1]["ErrorCode"] == code


def test_too_many_or_too_large_events_are_refused(aws):
    client = aws.client("events")
    entry = {"Source": "mine", "DetailType": "Told", "Detail": "{}"}
    with pytest.raises(ClientError, match="less than or equal to 10"):
        client.put_events(Entries=[entry] * 11)
    # What it says, and 11 of the source, the type and the time.
    fits = {**entry, "Time": 0, "Detail": json.dumps({"x": "x" * (2**20 - 32)})}
    assert len(fits["Detail"]) + 8 + 14 == 2**20 - 1
    assert client.put_events(Entries=[fits])["FailedEntryCount"] == 0
    with pytest.raises(ClientError, match="Total size"):
        client.put_events(Entries=[{**fits, "Source": "mine!"}])
    with pytest.raises(ClientError, match="does not exist"):
        client.put_events(Entries=[{**entry, "EventBusName": "missing"}])


QUEUE = "arn:aws:sqs:us-east-1:123456789012:q"


def of_one(template):
    return {"InputPathsMap": {"x": "$.detail.x/y"}, "InputTemplate": template}


@pytest.mark.bridge("moto.events.models.EventsBackend.put_targets")
@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ({"Arn": "arn:aws:kinesis:us-east-1:123456789012:stream/s"}, "kinesis"),
        ({"Arn": QUEUE, "SqsParameters": {"MessageGroupId": "g"}}, "SqsParameters"),
        ({"Arn": QUEUE.replace("us-east-1", "eu-west-1")}, "another Region"),
        ({"Arn": QUEUE, "RoleArn": "arn:aws:iam::123456789012:role/r"}, "own policy"),
        ({"Arn": "arn:aws:states:us-east-1:123456789012:stateMachine:m"}, "RoleArn is"),
        ({"Arn": QUEUE, "Input": "text"}, "must be JSON"),
        ({"Arn": QUEUE, "Input": "{}", "InputPath": "$"}, "Input and InputPath"),
        ({"Arn": QUEUE, "InputPath": "$..x"}, "dot notation"),
        ({"Arn": QUEUE, "InputTransformer": {"InputTemplate": "<x>"}}, "names x"),
        ({"Arn": QUEUE, "InputTransformer": of_one("{bad json <x>}")}, "not JSON"),
        ({"Arn": QUEUE, "InputTransformer": of_one('{"a <x>": 1}')}, "no key"),
        ({"Arn": QUEUE, "InputTransformer": of_one('{"a": {<x>: 1}}')}, "not JSON"),
        ({"Arn": QUEUE, "DeadLetterConfig": {"Arn": f"{QUEUE}.fifo"}}, "standard SQS"),
    ],
)
def test_a_target_that_is_not_honoured_is_refused(new_rule, target, problem):
    rule = new_rule(EventPattern={"source": ["none"]})
    with pytest.raises(ClientError, match=problem):
        rule.target(
            **{"arn" if name == "Arn" else name: v for name, v in target.items()}
        )


def test_a_rule_has_five_targets_at_most(aws, new_rule):
    rule = new_rule(EventPattern={"source": ["none"]})
    with pytest.raises(ClientError, match="5 targets"):
        aws.client("events").put_targets(
            Rule=rule.name,
            Targets=[{"Id": str(each), "Arn": QUEUE} for each in range(6)],
        )


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"EventPattern": {"a": [{"near": 1}]}}, "Unrecognized match type near"),
        ({"EventPattern": {"a": [{"numeric": {"b": 1}}]}}, "numeric at a must be"),
        ({"EventPattern": {"a": [1]}, "State": "OFF"}, "'OFF' at 'state' failed"),
        (
            {"State": "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"},
            "there is no CloudTrail",
        ),
        ({"RoleArn": "arn:aws:iam::123456789012:role/r"}, "RoleArn of PutRule"),
        ({"ScheduleExpression": "rate(1 hours)"}, "must have hour"),
        ({"ScheduleExpression": "at(2099-01-01T00:00:00)"}, "not valid"),
    ],
)
def test_a_rule_that_is_not_understood_is_refused(new_rule, settings, problem):
    with pytest.raises(ClientError, match=problem):
        new_rule(**settings)


@pytest.mark.emulates(
    "events:TagResource", "events:UntagResource", "events:ListTagsForResource"
)
def test_rules_have_tags(aws, new_rule):
    client, rule = aws.client("events"), new_rule(EventPattern={"source": ["none"]})
    client.tag_resource(ResourceARN=rule.arn, Tags=[{"Key": "a", "Value": "1"}])
    tags = client.list_tags_for_resource(ResourceARN=rule.arn)["Tags"]
    assert tags == [{"Key": "a", "Value": "1"}]
    client.untag_resource(ResourceARN=rule.arn, TagKeys=["a"])
    assert client.list_tags_for_resource(ResourceARN=rule.arn)["Tags"] == []


def test_a_bus_that_is_not_honoured_is_refused(aws):
    client = aws.client("events")
    with pytest.raises(ClientError, match="LogConfig of CreateEventBus"):
        client.create_event_bus(Name="logged", LogConfig={"Level": "INFO"})
    assert client.list_event_buses(NamePrefix="logged")["EventBuses"] == []
