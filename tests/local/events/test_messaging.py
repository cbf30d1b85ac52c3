"""Topics, queues, and functions that are invoked with messages."""

import io
import json
import time
import uuid
import zipfile
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from moto.sqs import models as moto_sqs

from cdk_personalize_segments.local.messaging.event_source_mappings import _Poller

from .conftest import allowing, new_name

EVENTS = "events.amazonaws.com"
SNS = "sns.amazonaws.com"


@pytest.fixture
def topic(aws):
    return aws.client("sns").create_topic(Name=new_name("topic"))["TopicArn"]


@pytest.fixture
def subscribe(aws, topic):
    def subscribe_to_topic(protocol, endpoint, **attributes):
        return aws.client("sns").subscribe(
            TopicArn=topic,
            Protocol=protocol,
            Endpoint=endpoint,
            Attributes=attributes,
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]

    return subscribe_to_topic


# --- Topics ---


@pytest.mark.emulates(
    "sns:Publish", "sns:Subscribe", "sns:CreateTopic", "subscription:sqs"
)
def test_a_message_reaches_every_subscriber_in_its_shape(
    aws, topic, subscribe, new_queue
):
    wrapped, raw = new_queue(SNS), new_queue(SNS)
    address = f"{new_name('ops')}@example.com"
    subscribe("sqs", wrapped.arn)
    subscribe("sqs", raw.arn, RawMessageDelivery="true")
    subscribe("email", address)
    message_id = aws.client("sns").publish(
        TopicArn=topic,
        Message='{"a": 1}',
        Subject="About",
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "x"}},
    )["MessageId"]
    [message] = wrapped.take()
    assert message.sent == aws.clock.now()
    body = message.body
    assert (body["Type"], body["MessageId"]) == ("Notification", message_id)
    assert (body["TopicArn"], body["Subject"]) == (topic, "About")
    assert body["Message"] == '{"a": 1}'
    assert body["MessageAttributes"] == {"kind": {"Type": "String", "Value": "x"}}
    [message] = raw.take()
    assert (message.body, message.attributes) == ({"a": 1}, {"kind": "x"})
    [mail] = aws.messages(address)
    assert (mail.subject, mail.body, mail.protocol) == ("About", '{"a": 1}', "email")
    assert (mail.topic_arn, mail.attributes) == (topic, {"kind": "x"})
    assert mail.at == aws.clock.now()


@pytest.mark.parametrize(
    ("protocol", "endpoint"),
    [
        pytest.param(
            protocol, endpoint, marks=pytest.mark.emulates(f"subscription:{protocol}")
        )
        for protocol, endpoint in {
            "email": "{}@example.com",
            "email-json": "{}@example.com",
            "http": "http://{}.example.com",
            "https": "https://{}.example.com",
            "sms": "+15555550100",
        }.items()
    ],
)
def test_messages_to_addresses_are_kept(aws, topic, subscribe, protocol, endpoint):
    address = endpoint.format(new_name("ops"))
    subscribe(protocol, address)
    aws.client("sns").publish(TopicArn=topic, Message="text")
    [kept] = aws.messages(address)
    assert (kept.protocol, kept.body, kept.topic_arn) == (protocol, "text", topic)


@pytest.mark.bridge("moto.sns.models.Topic.publish")
@pytest.mark.emulates("sns:PublishBatch")
def test_a_message_may_differ_by_protocol(aws, topic, subscribe):
    mail, hook = f"{new_name('ops')}@example.com", f"https://{new_name('hook')}.com"
    subscribe("email", mail)
    subscribe("https", hook)
    client = aws.client("sns")
    body = json.dumps({"default": "plain", "email": "Dear all"})
    client.publish(TopicArn=topic, Message=body, MessageStructure="json")
    client.publish_batch(
        TopicArn=topic,
        PublishBatchRequestEntries=[{"Id": "1", "Message": "more"}],
    )
    assert [each.body for each in aws.messages(mail)] == ["Dear all", "more"]
    assert [each.body for each in aws.messages(hook)] == ["plain", "more"]
    with pytest.raises(ClientError, match="No default entry"):
        client.publish(TopicArn=topic, Message="{}", MessageStructure="json")


@pytest.mark.parametrize(
    ("policy", "scope", "passing"),
    [
        ({"kind": ["a"]}, "MessageAttributes", [1]),
        ({"count": [{"numeric": [">", 5]}]}, "MessageAttributes", [1]),
        ({"list": ["y"]}, "MessageAttributes", [1]),
        ({"kind": [{"exists": False}]}, "MessageAttributes", [2]),
        ({"run": {"status": ["FAILED"]}}, "MessageBody", [2]),
    ],
)
@pytest.mark.bridge("moto.sns.models.SNSBackend.set_subscription_attributes")
@pytest.mark.emulates("sns:SetSubscriptionAttributes", "sns:GetSubscriptionAttributes")
def test_a_filter_policy_lets_messages_pass(
    aws, topic, subscribe, policy, scope, passing
):
    client, mail = aws.client("sns"), f"{new_name('ops')}@example.com"
    arn = subscribe("email", mail, FilterPolicyScope=scope)
    client.set_subscription_attributes(
        SubscriptionArn=arn,
        AttributeName="FilterPolicy",
        AttributeValue=json.dumps(policy),
    )
    told = client.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert (json.loads(told["FilterPolicy"]), told["FilterPolicyScope"]) == (
        policy,
        scope,
    )
    client.publish(
        TopicArn=topic,
        Message='{"number": 1, "run": {"status": "SUCCEEDED"}}',
        MessageAttributes={
            "kind": {"DataType": "String", "StringValue": "a"},
            "count": {"DataType": "Number", "StringValue": "7"},
            "list": {"DataType": "String.Array", "StringValue": '["x", "y"]'},
        },
    )
    client.publish(TopicArn=topic, Message='{"number": 2, "run": {"status": "FAILED"}}')
    client.set_subscription_attributes(
        SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue="{}"
    )
    told = client.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert "FilterPolicy" not in told
    client.publish(TopicArn=topic, Message='{"number": 3}')
    got = [json.loads(each.body)["number"] for each in aws.messages(mail)]
    assert got == [*passing, 3]


def test_a_queue_that_lets_no_topic_in_gets_nothing(
    aws, topic, subscribe, new_queue, caplog
):
    queue, letters = new_queue(), new_queue(SNS)
    subscribe(
        "sqs",
        queue.arn,
        RedrivePolicy=json.dumps({"deadLetterTargetArn": letters.arn}),
    )
    queue.allow(SNS, ArnEquals={"aws:SourceArn": f"{topic}-other"})
    aws.client("sns").publish(TopicArn=topic, Message="lost")
    [letter] = letters.take()
    assert letter.body["Message"] == "lost"
    attributes = dict(letter.attributes)
    assert uuid.UUID(attributes.pop("RequestID"))
    assert "not allowed" in attributes.pop("ErrorMessage")
    assert attributes == {"ErrorCode": "AccessDeniedException"}
    assert queue.take() == []
    assert "sns.amazonaws.com could not deliver" in caplog.text


def test_an_encrypted_topic_needs_its_keys_policy_too(aws, new_rule):
    source, mail = new_name("source"), f"{new_name('ops')}@example.com"
    sns, kms = aws.client("sns"), aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    topic = sns.create_topic(
        Name=new_name("topic"), Attributes={"KmsMasterKeyId": key}
    )["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=mail)
    sns.set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=json.dumps(
            allowing("events.amazonaws.com", "sns:Publish", topic)
        ),
    )
    new_rule(EventPattern={"source": [source]}).target(topic)
    entry = {"Source": source, "DetailType": "Told", "Detail": "{}"}
    aws.client("events").put_events(Entries=[entry])
    aws.clock.settle()
    assert aws.messages(mail) == []
    policy = allowing("events.amazonaws.com", "kms:*", "*")
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    aws.client("events").put_events(Entries=[entry])
    aws.clock.settle()
    assert len(aws.messages(mail)) == 1


@pytest.mark.emulates(
    "sns:DeleteTopic",
    "sns:GetTopicAttributes",
    "sns:ListSubscriptions",
    "sns:ListSubscriptionsByTopic",
    "sns:ListTagsForResource",
    "sns:ListTopics",
    "sns:SetTopicAttributes",
    "sns:TagResource",
    "sns:Unsubscribe",
    "sns:UntagResource",
)
def test_topics_are_read_back_changed_and_deleted(aws, topic, subscribe):
    client = aws.client("sns")
    client.set_topic_attributes(
        TopicArn=topic, AttributeName="DisplayName", AttributeValue="Notices"
    )
    told = client.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert (told["DisplayName"], told["Owner"]) == ("Notices", aws.account_id)
    client.tag_resource(ResourceArn=topic, Tags=[{"Key": "a", "Value": "1"}])
    client.tag_resource(ResourceArn=topic, Tags=[{"Key": "b", "Value": "2"}])
    client.untag_resource(ResourceArn=topic, TagKeys=["a"])
    tags = client.list_tags_for_resource(ResourceArn=topic)["Tags"]
    assert tags == [{"Key": "b", "Value": "2"}]
    first, second = (
        subscribe("email", f"{new_name('ops')}@example.com") for _ in range(2)
    )
    client.unsubscribe(SubscriptionArn=first)

    def subscriptions(operation, **of):
        pages = client.get_paginator(operation).paginate(**of)
        return [
            each["SubscriptionArn"] for page in pages for each in page["Subscriptions"]
        ]

    assert subscriptions("list_subscriptions_by_topic", TopicArn=topic) == [second]
    assert second in subscriptions("list_subscriptions")
    topics = client.get_paginator("list_topics").paginate()
    assert topic in {each["TopicArn"] for page in topics for each in page["Topics"]}
    client.delete_topic(TopicArn=topic)
    assert second not in subscriptions("list_subscriptions")
    with pytest.raises(ClientError, match="does not exist"):
        client.get_topic_attributes(TopicArn=topic)


@pytest.mark.bridge(
    "moto.sns.models.SNSBackend.create_topic",
    "moto.sns.models.SNSBackend.publish",
    "moto.sns.models.SNSBackend.set_topic_attribute",
    "moto.sns.models.SNSBackend.subscribe",
    "moto.sns.responses.SNSResponse.set_subscription_attributes",
    "moto.sns.responses.SNSResponse.subscribe",
)
def test_what_topics_do_not_honour_is_refused(aws, topic, subscribe):
    client = aws.client("sns")
    with pytest.raises(ClientError, match="FifoTopic"):
        client.create_topic(Name="a.fifo", Attributes={"FifoTopic": "true"})
    with pytest.raises(ClientError, match="DeliveryPolicy"):
        client.set_topic_attributes(
            TopicArn=topic, AttributeName="DeliveryPolicy", AttributeValue="{}"
        )
    with pytest.raises(ClientError, match="firehose"):
        subscribe("firehose", "arn:aws:firehose:us-east-1:123456789012:f")
    with pytest.raises(ClientError, match="SubscriptionRoleArn"):
        subscribe("email", "a@example.com", SubscriptionRoleArn="arn:aws:iam::1:role/r")
    with pytest.raises(ClientError, match="Unrecognized match type near"):
        subscribe("email", "b@example.com", FilterPolicy='{"a": [{"near": 1}]}')
    before = client.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    for name, value, problem in (
        ("FilterPolicyScope", "Zap", "FilterPolicyScope"),
        ("RawMessageDelivery", "perhaps", "Must be true or false"),
        ("RedrivePolicy", "[1]", "deadLetterTargetArn must be"),
    ):
        with pytest.raises(ClientError, match=problem):
            subscribe("sqs", "arn:aws:sqs:us-east-1:123456789012:q", **{name: value})
    after = client.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert after == before
    there = subscribe("sqs", "arn:aws:sqs:us-east-1:123456789012:q")
    for name, value in (("FilterPolicyScope", "Zap"), ("RawMessageDelivery", "maybe")):
        with pytest.raises(ClientError, match=f"{name}: Invalid value .{value}"):
            client.set_subscription_attributes(
                SubscriptionArn=there, AttributeName=name, AttributeValue=value
            )
    with pytest.raises(ClientError, match="phone number"):
        client.publish(PhoneNumber="+491711234567", Message="hi")


# --- Queues ---


@pytest.mark.bridge("moto.sqs.models.Message.visible")
@pytest.mark.emulates(
    "sqs:CreateQueue",
    "sqs:SendMessage",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
)
def test_messages_are_hidden_for_virtual_time(aws, new_queue):
    client, queue = aws.client("sqs"), new_queue(VisibilityTimeout="60")

    def receive():
        found = client.receive_message(QueueUrl=queue.url).get("Messages", [])
        return [each["ReceiptHandle"] for each in found]

    client.send_message(QueueUrl=queue.url, MessageBody="1", DelaySeconds=10)
    assert receive() == []
    aws.clock.advance(timedelta(seconds=10))
    [handle] = receive()
    aws.clock.advance(timedelta(seconds=59))
    assert receive() == []
    aws.clock.advance(timedelta(seconds=1))
    [handle] = receive()
    client.change_message_visibility(
        QueueUrl=queue.url, ReceiptHandle=handle, VisibilityTimeout=0
    )
    [handle] = receive()
    client.delete_message(QueueUrl=queue.url, ReceiptHandle=handle)
    aws.clock.advance(timedelta(hours=1))
    assert receive() == []


@pytest.mark.bridge("moto.sqs.models.SQSBackend.receive_message")
def test_a_long_poll_lets_virtual_time_pass(aws, new_queue):
    queue, began = new_queue(), aws.clock.now()
    client = aws.client("sqs")
    client.send_message(QueueUrl=queue.url, MessageBody="1", DelaySeconds=5)
    polled = client.receive_message(QueueUrl=queue.url, WaitTimeSeconds=20)
    assert len(polled["Messages"]) == 1
    passed = aws.clock.now() - began
    assert timedelta(seconds=5) <= passed < timedelta(seconds=6)


@pytest.mark.bridge("moto.sqs.models.Message.mark_sent")
def test_messages_are_timed_to_the_millisecond(aws, new_queue):
    client, queue = aws.client("sqs"), new_queue(DelaySeconds="1")
    for _ in range(25):
        aws.clock.advance(timedelta(microseconds=1_237_600))
        sent = round(aws.clock.now().timestamp() * 1000)
        client.send_message(QueueUrl=queue.url, MessageBody="1")
        assert queue.attributes()["ApproximateNumberOfMessagesDelayed"] == "1"
        aws.clock.advance(timedelta(seconds=1))
        assert queue.attributes()["ApproximateNumberOfMessagesDelayed"] == "0"
        [message] = client.receive_message(
            QueueUrl=queue.url, AttributeNames=["SentTimestamp"]
        )["Messages"]
        assert message["Attributes"]["SentTimestamp"] == str(sent)
        client.delete_message(
            QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"]
        )


@pytest.mark.bridge(
    "moto.sqs.models.SQSBackend.is_message_valid_based_on_retention_period"
)
def test_messages_are_received_without_counting_all_others(aws, new_queue, monkeypatch):
    client, queue, counts = aws.client("sqs"), new_queue(), []
    client.send_message(QueueUrl=queue.url, MessageBody="1")
    monkeypatch.setattr(
        moto_sqs.Queue,
        "approximate_number_of_messages",
        property(lambda _: counts.append(1) or 0),
    )
    assert len(client.receive_message(QueueUrl=queue.url)["Messages"]) == 1
    assert counts == []


@pytest.mark.bridge("moto.sqs.models.Queue.messages")
def test_messages_expire(aws, new_queue):
    queue = new_queue(MessageRetentionPeriod="60")
    aws.client("sqs").send_message(QueueUrl=queue.url, MessageBody="1")
    assert queue.attributes()["ApproximateNumberOfMessages"] == "1"
    aws.clock.advance(timedelta(seconds=60))
    assert queue.attributes()["ApproximateNumberOfMessages"] == "0"
    assert queue.take() == []


@pytest.mark.emulates("sqs:ListDeadLetterSourceQueues")
def test_what_is_received_too_often_is_a_dead_letter(aws, new_queue):
    letters, client = new_queue(), aws.client("sqs")
    queue = new_queue(
        VisibilityTimeout="10",
        RedrivePolicy=json.dumps(
            {"deadLetterTargetArn": letters.arn, "maxReceiveCount": 2}
        ),
    )
    sources = client.list_dead_letter_source_queues(QueueUrl=letters.url)
    assert sources["queueUrls"] == [queue.url]
    client.send_message(QueueUrl=queue.url, MessageBody='"bad"')
    counts = []
    for _ in range(3):
        found = client.receive_message(QueueUrl=queue.url).get("Messages", [])
        counts.append(len(found))
        aws.clock.advance(timedelta(seconds=10))
    assert counts == [1, 1, 0]
    assert [message.body for message in letters.take()] == ["bad"]


@pytest.mark.bridge("moto.sqs.models.SQSBackend.set_queue_attributes")
@pytest.mark.emulates(
    "sqs:ChangeMessageVisibilityBatch",
    "sqs:DeleteMessageBatch",
    "sqs:DeleteQueue",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ListQueueTags",
    "sqs:ListQueues",
    "sqs:PurgeQueue",
    "sqs:SendMessageBatch",
    "sqs:SetQueueAttributes",
    "sqs:TagQueue",
    "sqs:UntagQueue",
)
def test_queues_are_read_back_changed_and_deleted(aws, new_queue):
    client, queue = aws.client("sqs"), new_queue(KmsMasterKeyId="alias/aws/sqs")
    queue.allow("events.amazonaws.com")
    queue.set(VisibilityTimeout="45", KmsDataKeyReusePeriodSeconds="600")
    told = queue.attributes()
    assert told["VisibilityTimeout"] == "45"
    assert told["KmsMasterKeyId"] == "alias/aws/sqs"
    assert told["KmsDataKeyReusePeriodSeconds"] == "600"
    assert "events.amazonaws.com" in told["Policy"]
    name = queue.url.rpartition("/")[2]
    assert client.get_queue_url(QueueName=name)["QueueUrl"] == queue.url
    assert client.list_queues(QueueNamePrefix=name)["QueueUrls"] == [queue.url]
    client.tag_queue(QueueUrl=queue.url, Tags={"a": "1", "b": "2"})
    client.untag_queue(QueueUrl=queue.url, TagKeys=["a"])
    assert client.list_queue_tags(QueueUrl=queue.url)["Tags"] == {"b": "2"}
    entries = [{"Id": str(each), "MessageBody": str(each)} for each in range(3)]
    client.send_message_batch(QueueUrl=queue.url, Entries=entries)
    found = client.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10)
    handles = [
        {"Id": str(each), "ReceiptHandle": message["ReceiptHandle"]}
        for each, message in enumerate(found["Messages"])
    ]
    client.delete_message_batch(QueueUrl=queue.url, Entries=handles[:1])
    client.change_message_visibility_batch(
        QueueUrl=queue.url,
        Entries=[{**each, "VisibilityTimeout": 0} for each in handles[1:]],
    )
    assert queue.attributes()["ApproximateNumberOfMessages"] == "2"
    client.purge_queue(QueueUrl=queue.url)
    assert queue.attributes()["ApproximateNumberOfMessages"] == "0"
    client.delete_queue(QueueUrl=queue.url)
    with pytest.raises(ClientError, match="does not exist"):
        queue.attributes()


@pytest.mark.bridge("moto.sqs.models.SQSBackend.create_queue")
@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"FifoQueue": "true"}, "FifoQueue"),
        ({"RedriveAllowPolicy": "{}"}, "RedriveAllowPolicy"),
        ({"Colour": "red"}, "Colour"),
        ({"VisibilityTimeout": "43201"}, "VisibilityTimeout"),
        ({"RedrivePolicy": '{"maxReceiveCount": 3}'}, "RedrivePolicy"),
    ],
)
def test_a_queue_that_is_not_honoured_is_refused(new_queue, attributes, problem):
    with pytest.raises(ClientError, match=problem):
        new_queue(**attributes)


# --- Functions ---

HANDLER = """
import json, os

def handler(event, context):
    bodies = [
        record["Sns"]["Message"] if "Sns" in record else record["body"]
        for record in event["Records"]
    ]
    print("BATCH", json.dumps(bodies))
    if "raise" in bodies:
        raise ValueError("on purpose")
    return {"batchItemFailures": [
        {"itemIdentifier": record["messageId"]}
        for record in event["Records"] if record.get("body") == "fail"
    ]}
"""


@pytest.fixture(scope="module")
def function(aws, new_role):
    """Make a function that logs the bodies of each batch."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", HANDLER)
    name = new_name("function")
    aws.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="index.handler",
        Role=new_role("lambda.amazonaws.com", "sqs:*", "logs:*"),
        Code={"ZipFile": buffer.getvalue()},
        Timeout=10,
    )
    return name


@pytest.fixture
def batches(aws, function):
    """Tell the batches of a test, each with its time."""
    client, group = aws.client("logs"), f"/aws/lambda/{function}"

    def logged():
        try:
            events = client.filter_log_events(
                logGroupName=group, filterPattern="", limit=10_000
            )["events"]
        except client.exceptions.ResourceNotFoundException:
            return []
        return [
            (event["timestamp"], json.loads(event["message"].partition("BATCH ")[2]))
            for event in events
            if "BATCH " in event["message"]
        ]

    before = len(logged())
    return lambda: logged()[before:]


@pytest.fixture
def map_queue(aws, function):
    """Map a queue to the function, for one test."""
    client, made = aws.client("lambda"), []

    def create(queue, **settings):
        mapping = client.create_event_source_mapping(
            EventSourceArn=queue.arn, FunctionName=function, **settings
        )
        made.append(mapping["UUID"])
        return mapping

    yield create
    for mapping in made:
        client.delete_event_source_mapping(UUID=mapping)


@pytest.mark.emulates(
    "lambda:CreateEventSourceMapping",
    "lambda:DeleteEventSourceMapping",
    "event-source:sqs",
)
def test_a_batch_waits_for_its_window_in_virtual_time(
    aws, new_queue, map_queue, batches
):
    queue, client = new_queue(VisibilityTimeout="180"), aws.client("sqs")
    map_queue(queue, BatchSize=100, MaximumBatchingWindowInSeconds=120)
    with aws.clock.busy():
        began = aws.clock.now()
        for each in range(25):
            client.send_message(
                QueueUrl=queue.url, MessageBody=str(each), DelaySeconds=each
            )
    aws.clock.advance(timedelta(seconds=300))
    [(at, bodies)] = batches()
    assert sorted(bodies, key=int) == [str(each) for each in range(25)]
    assert at == round((began + timedelta(seconds=120)).timestamp() * 1000)
    assert queue.attributes()["ApproximateNumberOfMessagesNotVisible"] == "0"
    # Nothing waits any more, so nothing makes time pass.
    now = aws.clock.now()
    aws.clock.settle()
    assert aws.clock.now() == now


@pytest.mark.bridge(
    "moto.awslambda.models.LambdaBackend.create_event_source_mapping",
    "moto.sqs.models.Queue.add_message",
)
def test_a_full_batch_waits_for_nothing(aws, new_queue, map_queue, batches):
    queue, client = new_queue(VisibilityTimeout="360"), aws.client("sqs")
    map_queue(queue, BatchSize=2, MaximumBatchingWindowInSeconds=300)
    with aws.clock.busy():
        began = aws.clock.now()
        for each in range(5):
            client.send_message(QueueUrl=queue.url, MessageBody=str(each))
    aws.clock.advance(timedelta(minutes=6))
    late = [at / 1000 - began.timestamp() for at, _ in batches()]
    assert [bodies for _, bodies in batches()] == [["0", "1"], ["2", "3"], ["4"]]
    assert [round(each) for each in late] == [0, 0, 300]


def test_no_more_batches_than_allowed_are_worked_on_at_once(
    aws, new_queue, map_queue, batches, monkeypatch
):
    invoke, working, seen = _Poller._invoke, [], []

    def watched(poller, batch):
        working.append(batch)
        seen.append(len(working))
        time.sleep(0.05)
        working.remove(batch)
        return invoke(poller, batch)

    monkeypatch.setattr(_Poller, "_invoke", watched)
    queue, client = new_queue(VisibilityTimeout="360"), aws.client("sqs")
    map_queue(queue, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    with aws.clock.busy():
        for each in range(6):
            client.send_message(QueueUrl=queue.url, MessageBody=str(each))
    aws.clock.settle()
    assert sorted(bodies for _, bodies in batches()) == [[str(n)] for n in range(6)]
    assert max(seen) <= 2


def test_only_the_items_that_failed_come_again(aws, new_queue, map_queue, batches):
    letters, client = new_queue(), aws.client("sqs")
    queue = new_queue(
        RedrivePolicy=json.dumps(
            {"deadLetterTargetArn": letters.arn, "maxReceiveCount": 2}
        )
    )
    map_queue(queue, FunctionResponseTypes=["ReportBatchItemFailures"])
    with aws.clock.busy():
        began = aws.clock.now()
        for body in ("good", "fail", "fine"):
            client.send_message(QueueUrl=queue.url, MessageBody=body)
    aws.clock.advance(timedelta(minutes=2))
    assert [bodies for _, bodies in batches()] == [["good", "fail", "fine"], ["fail"]]
    late = batches()[1][0] / 1000 - began.timestamp()
    assert round(late) == 30
    [letter] = client.receive_message(QueueUrl=letters.url)["Messages"]
    assert letter["Body"] == "fail"


def test_a_batch_that_raises_comes_again_as_a_whole(aws, new_queue, map_queue, batches):
    letters, client = new_queue(), aws.client("sqs")
    queue = new_queue(
        RedrivePolicy=json.dumps(
            {"deadLetterTargetArn": letters.arn, "maxReceiveCount": 3}
        )
    )
    map_queue(queue)
    client.send_message(QueueUrl=queue.url, MessageBody="raise")
    aws.clock.advance(timedelta(minutes=3))
    assert [bodies for _, bodies in batches()] == [["raise"]] * 3
    assert letters.attributes()["ApproximateNumberOfMessages"] == "1"


@pytest.mark.bridge("moto.awslambda.models.LambdaBackend.update_event_source_mapping")
@pytest.mark.emulates(
    "lambda:GetEventSourceMapping",
    "lambda:ListEventSourceMappings",
    "lambda:UpdateEventSourceMapping",
)
def test_a_mapping_is_switched_off_and_on(aws, new_queue, map_queue, batches):
    client, queue = aws.client("lambda"), new_queue()
    uuid = map_queue(queue, Enabled=False, BatchSize=5)["UUID"]
    aws.client("sqs").send_message(QueueUrl=queue.url, MessageBody="later")
    aws.clock.settle()
    assert batches() == []
    told = client.get_event_source_mapping(UUID=uuid)
    assert (told["State"], told["BatchSize"]) == ("Disabled", 5)
    client.update_event_source_mapping(UUID=uuid, Enabled=True, BatchSize=7)
    [listed] = client.list_event_source_mappings(EventSourceArn=queue.arn)[
        "EventSourceMappings"
    ]
    assert (listed["State"], listed["BatchSize"]) == ("Enabled", 7)
    aws.clock.settle()
    assert [bodies for _, bodies in batches()] == [["later"]]


@pytest.mark.bridge("moto.awslambda.models.LambdaBackend.delete_event_source_mapping")
def test_a_mapping_that_is_deleted_takes_no_more(aws, function, new_queue, batches):
    client, queue = aws.client("lambda"), new_queue()
    mapping = client.create_event_source_mapping(
        EventSourceArn=queue.arn, FunctionName=function
    )
    client.delete_event_source_mapping(UUID=mapping["UUID"])
    aws.client("sqs").send_message(QueueUrl=queue.url, MessageBody="late")
    aws.clock.settle()
    assert batches() == []
    assert queue.attributes()["ApproximateNumberOfMessages"] == "1"


@pytest.mark.bridge("moto.sqs.models.SQSBackend.change_message_visibility")
def test_a_message_is_taken_as_soon_as_it_is_made_visible(
    aws, new_queue, map_queue, batches
):
    client, queue = aws.client("sqs"), new_queue(VisibilityTimeout="1000")
    client.send_message(QueueUrl=queue.url, MessageBody="hidden")
    [message] = client.receive_message(QueueUrl=queue.url)["Messages"]
    soon = aws.clock.now() + timedelta(seconds=10)
    backend = moto_sqs.sqs_backends[aws.account_id][aws.region]
    name = queue.arn.rpartition(":")[2]

    def show():
        backend.change_message_visibility(name, message["ReceiptHandle"], 0)

    with aws.clock.busy():
        aws.clock.at(soon, show)
        map_queue(queue)
    aws.clock.advance(timedelta(seconds=20))
    assert batches() == [(round(soon.timestamp() * 1000), ["hidden"])]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"BatchSize": 11}, "greater than 0 if maximum batch"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{}"}]}}, "FilterCriteria"),
        ({"ScalingConfig": {"MaximumConcurrency": 1001}}, "from 2 to 1000"),
        ({"EventSourceArn": "arn:aws:kinesis:us-east-1:1:stream/s"}, "queues are"),
        ({"EventSourceArn": "arn:aws:sqs:us-east-1:123456789012:no"}, "not exist"),
    ],
)
def test_a_mapping_that_is_not_honoured_is_refused(
    aws, function, new_queue, settings, problem
):
    with pytest.raises(ClientError, match=problem):
        aws.client("lambda").create_event_source_mapping(
            **{"EventSourceArn": new_queue().arn, **settings}, FunctionName=function
        )


def test_a_mapping_needs_time_and_rights(aws, function, new_queue, map_queue, new_role):
    client = aws.client("lambda")
    with pytest.raises(ClientError, match="Queue visibility timeout: 5 seconds"):
        map_queue(new_queue(VisibilityTimeout="5"))
    role = client.get_function_configuration(FunctionName=function)["Role"]
    client.update_function_configuration(
        FunctionName=function, Role=new_role("lambda.amazonaws.com")
    )
    with pytest.raises(ClientError, match="permissions to call ReceiveMessage"):
        map_queue(new_queue())
    client.update_function_configuration(FunctionName=function, Role=role)


@pytest.mark.emulates("event-target:lambda", "subscription:lambda")
def test_topics_and_rules_invoke_functions_that_let_them(
    aws, function, topic, subscribe, new_rule, batches
):
    client, source = aws.client("lambda"), new_name("source")
    arn = client.get_function_configuration(FunctionName=function)["FunctionArn"]
    subscribe("lambda", arn)
    rule = new_rule(EventPattern={"source": [source]})
    rule.target(arn, Input='{"Records": [{"body": "by rule", "messageId": "1"}]}')
    entry = {"Source": source, "DetailType": "Told", "Detail": "{}"}

    def tell():
        aws.client("events").put_events(Entries=[entry])
        aws.client("sns").publish(TopicArn=topic, Message="by topic")

    tell()
    aws.clock.settle()
    assert batches() == []
    for service, source_arn in (("events", rule.arn), ("sns", topic)):
        client.add_permission(
            FunctionName=function,
            StatementId=new_name("by"),
            Action="lambda:InvokeFunction",
            Principal=f"{service}.amazonaws.com",
            SourceArn=source_arn,
        )
    tell()
    wait_for(lambda: len(batches()) == 2)
    assert sorted(bodies for _, bodies in batches()) == [["by rule"], ["by topic"]]


def test_a_function_that_fails_is_no_dead_letter_of_the_rule(
    aws, function, new_queue, new_rule, batches
):
    """It was invoked: Lambda tries again, and the rule is done with it."""
    client, source, letters = (
        aws.client("lambda"),
        new_name("source"),
        new_queue(EVENTS),
    )
    arn = client.get_function_configuration(FunctionName=function)["FunctionArn"]
    rule = new_rule(EventPattern={"source": [source]})
    rule.target(
        arn,
        Input='{"Records": [{"body": "raise", "messageId": "1"}]}',
        DeadLetterConfig={"Arn": letters.arn},
    )
    entry = {"Source": source, "DetailType": "Told", "Detail": "{}"}
    aws.client("events").put_events(Entries=[entry])
    [letter] = letters.take()
    assert letter.attributes["ERROR_CODE"] == "NO_PERMISSIONS"
    client.add_permission(
        FunctionName=function,
        StatementId=new_name("by"),
        Action="lambda:InvokeFunction",
        Principal=EVENTS,
        SourceArn=rule.arn,
    )
    aws.client("events").put_events(Entries=[entry])
    aws.clock.advance(timedelta(minutes=10))
    wait_for(lambda: len(batches()) == 3)
    assert letters.take() == []


def wait_for(found):
    """Wait in real time: an asynchronous invocation runs on by itself."""
    give_up = time.monotonic() + 20
    while not found():
        assert time.monotonic() < give_up
        time.sleep(0.02)
