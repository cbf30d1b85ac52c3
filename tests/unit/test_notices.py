"""Notices and events: what they add to a template, and to whose policies."""

import re

import aws_cdk as cdk
import pytest
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Template

from cdk_personalize_segments import BatchSegmentPipeline, RunEvent, SolutionVersion

SOLUTION = "arn:aws:personalize:eu-west-1:111122223333:solution/films"
TOPIC = "arn:aws:sns:eu-west-1:{}:told"


@pytest.fixture
def placed(make_stack):
    """A stack in a known account and Region."""
    return make_stack(
        {}, env=cdk.Environment(account="111122223333", region="eu-west-1")
    )


def pipeline_in(stack, topic=None):
    return BatchSegmentPipeline(
        stack,
        "Segments",
        solution_version=SolutionVersion.latest_of(SOLUTION),
        notification_topic=topic,
    )


def define(stack, told=False, on=()):
    """Define a pipeline with or without notices and events; give the resources."""
    topic, queue = sns.Topic(stack, "Topic"), sqs.Queue(stack, "Queue")
    pipeline = pipeline_in(stack, topic if told else None)
    for event in on:
        pipeline.on_event(event.name, event=event, target=targets.SqsQueue(queue))
    template = cdk.App.of(stack).synth().get_stack_by_name("Films").template
    return {name: each["Type"] for name, each in template["Resources"].items()}


def test_notices_are_four_resources_and_each_event_asked_for_one_rule(make_stack):
    plain = define(make_stack({}))
    told = define(make_stack({}), told=True)
    events = define(make_stack({}), on=RunEvent)
    # Executions call versions: that of old would never tell of queueing.
    [published] = [each for each in told if "Version" in each and each not in plain]
    assert "CreateJobCurrentVersion" in published
    assert published in events
    notices = sorted(told[each] for each in told.keys() - plain.keys() - {published})
    assert notices == [
        "AWS::Events::Rule",
        "AWS::IAM::Role",
        "AWS::Lambda::Function",
        "AWS::Lambda::Permission",
    ]
    # And the queue's policy, which is the target's.
    assert sorted(events[each] for each in events.keys() - told.keys()) == [
        *["AWS::Events::Rule"] * 3,
        "AWS::SQS::QueuePolicy",
    ]


def test_what_nobody_asks_for_leaves_the_template_alone(stack, make_pipeline):
    make_pipeline()
    template = Template.from_stack(stack)
    template.resource_count_is("AWS::Events::Rule", 0)
    assert "events:PutEvents" not in str(template.to_json())
    assert "TELL_OF_QUEUEING" not in str(template.to_json())


def test_a_rule_takes_the_events_of_its_pipeline_only(stack, make_pipeline):
    pipeline = make_pipeline()
    rule = pipeline.on_event(
        "Failed",
        event=RunEvent.FAILED,
        target=targets.SqsQueue(sqs.Queue(stack, "Queue")),
    )
    assert rule.node.path == "Films/Segments/Notices/Events/Failed"
    template = Template.from_stack(stack)
    [prefix] = {
        each["Properties"]["Environment"]["Variables"]["RUN_PREFIX"]
        for each in template.find_resources("AWS::Lambda::Function").values()
    }
    template.has_resource_properties(
        "AWS::Events::Rule",
        {
            "EventPattern": {
                "source": ["cdk-personalize-segments"],
                "detail-type": ["Batch Segment Run Failed"],
                "detail": {"pipeline": [prefix]},
            }
        },
    )


def test_events_are_put_by_name(stack, make_pipeline, statements):
    make_pipeline(notification_topic=sns.Topic(stack, "Topic"))
    template = Template.from_stack(stack)
    allowed = {
        role: [
            each["Condition"]["StringEquals"]
            for each in statements(template, role)
            if each["Action"] == "events:PutEvents"
        ]
        for role in ("NoticesFunctionRole", "CreateJobRole", "FinishRole")
    }
    source = {"events:source": "cdk-personalize-segments"}
    assert allowed == {
        "NoticesFunctionRole": [
            {
                **source,
                "events:detail-type": [
                    RunEvent.SUCCEEDED.value,
                    RunEvent.FAILED.value,
                ],
            }
        ],
        "CreateJobRole": [
            {**source, "events:detail-type": [RunEvent.QUEUED_TOO_LONG.value]}
        ],
        "FinishRole": [],
    }


def test_the_key_of_a_topic_is_granted_with_it(stack, make_pipeline, statements):
    key = kms.Key(stack, "Key")
    make_pipeline(notification_topic=sns.Topic(stack, "Topic", master_key=key))
    found = statements(Template.from_stack(stack), "NoticesFunctionRole")
    [using] = [each for each in found if each.get("Sid") == "UseTopicKey"]
    assert using["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    assert using["Resource"] == {"Fn::GetAtt": [_key_id(stack), "Arn"]}
    assert _messages(stack) == []


def _key_id(stack):
    [name] = Template.from_stack(stack).find_resources("AWS::KMS::Key")
    return name


def test_a_topic_without_a_key_or_with_that_of_aws_needs_none(
    stack, make_pipeline, statements
):
    topic = sns.Topic(stack, "Topic")
    topic.node.default_child.kms_master_key_id = "alias/aws/sns"
    make_pipeline(notification_topic=topic)
    found = statements(Template.from_stack(stack), "NoticesFunctionRole")
    assert "UseTopicKey" not in {each.get("Sid") for each in found}
    assert _messages(stack) == []


def _messages(stack):
    return [
        str(each.entry.data)
        for each in cdk.App.of(stack).synth().get_stack_by_name("Films").messages
    ]


def test_an_imported_topic_s_key_may_be_unknown(placed):
    arn = TOPIC.format("111122223333")
    pipeline_in(placed, sns.Topic.from_topic_arn(placed, "Theirs", arn))
    [message] = _messages(placed)
    assert "cdk-personalize-segments:notificationTopicKeyUnknown" in message
    assert arn in message
    assert "sns.Topic.from_topic_attributes" in message
    assert '"kms:GenerateDataKey*"' in message
    assert '"AWS": "${SegmentsNoticesFunctionRole' in message


def test_an_imported_topic_whose_key_is_named_is_granted(placed, statements):
    key = "arn:aws:kms:eu-west-1:111122223333:key/theirs"
    topic = sns.Topic.from_topic_attributes(
        placed, "Theirs", topic_arn=TOPIC.format("111122223333"), key_arn=key
    )
    pipeline_in(placed, topic)
    assert _messages(placed) == []
    found = statements(Template.from_stack(placed), "NoticesFunctionRole")
    assert [each["Resource"] for each in found if each["Sid"] == "UseTopicKey"] == [key]


def test_the_owner_of_a_topic_in_another_account_is_told_what_to_add(placed):
    arn = TOPIC.format("999988887777")
    pipeline_in(placed, sns.Topic.from_topic_arn(placed, "Theirs", arn))
    [message] = _messages(placed)
    assert "cdk-personalize-segments:notificationTopicPolicyNotManaged" in message
    assert '"Action": "sns:Publish"' in message
    assert f'"Resource": "{arn}"' in message


@pytest.mark.parametrize(
    ("arn", "message"),
    [
        (
            "arn:aws:sns:us-east-1:111122223333:told",
            "notification_topic is in the Region us-east-1, the pipeline in eu-west-1",
        ),
        (
            "arn:aws:sns:eu-west-1:111122223333:told.fifo",
            "notification_topic must be a standard topic",
        ),
    ],
)
def test_a_topic_that_cannot_be_used_is_refused(placed, arn, message):
    topic = sns.Topic.from_topic_arn(placed, "Theirs", arn)
    with pytest.raises(ValueError, match=re.escape(message)):
        pipeline_in(placed, topic)


def test_what_is_no_topic_or_no_event_is_refused(stack, make_pipeline):
    with pytest.raises(TypeError, match="notification_topic must be a topic, like"):
        make_pipeline(notification_topic="arn:aws:sns:eu-west-1:111122223333:told")
    pipeline = make_pipeline("Other")
    queue = targets.SqsQueue(sqs.Queue(stack, "Queue"))
    with pytest.raises(TypeError, match=re.escape("event must be one of RunEvent")):
        pipeline.on_event("Any", event="Batch Segment Run Failed", target=queue)
