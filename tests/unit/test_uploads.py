"""Start on upload: what is defined, what is refused, what others could undo."""

import json

import aws_cdk as cdk
import pytest
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_notifications as notifications
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Annotations, Match, Template

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion

from .conftest import FLAGS, new_stack

SOLUTION = "arn:aws:personalize:us-east-1:111122223333:solution/films"
WARNING = "*inputBucketEventsNotManaged*"


@pytest.fixture(scope="module")
def template():
    """A pipeline that starts on upload, and is the default otherwise."""
    stack = new_stack(FLAGS["cdk.json"])
    BatchSegmentPipeline(
        stack,
        "Segments",
        solution_version=SolutionVersion.latest_of(SOLUTION),
        start_on_upload=True,
    )
    return Template.from_stack(stack)


def test_seven_resources_are_added_and_none_of_them_is_custom(template):
    resources = template.to_json()["Resources"]
    assert len(resources) == 24 + 7
    assert sorted(
        each["Type"] for name, each in resources.items() if "Upload" in name
    ) == [
        "AWS::Events::Rule",
        "AWS::IAM::Role",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Function",
        "AWS::SQS::Queue",
        "AWS::SQS::Queue",
        "AWS::SQS::QueuePolicy",
    ]


def test_the_bucket_sends_its_events_by_its_own_property(template):
    template.has_resource_properties(
        "AWS::S3::Bucket",
        {
            "NotificationConfiguration": {
                "EventBridgeConfiguration": {"EventBridgeEnabled": True}
            }
        },
    )


def keys_of_rule(template):
    [rule] = template.find_resources("AWS::Events::Rule").values()
    pattern = rule["Properties"]["EventPattern"]
    assert pattern["detail-type"] == ["Object Created"]
    return pattern["detail"]["object"]["key"]


def test_files_of_any_name_beneath_the_queries_prefix_start_runs(template):
    assert keys_of_rule(template) == [{"prefix": "queries/"}]


def test_files_are_chosen_and_collected_for_a_window(stack, make_pipeline):
    make_pipeline(
        start_on_upload=True,
        upload_suffixes=[".jsonl", ".gz", ".jsonl"],
        upload_window=cdk.Duration.seconds(30),
    )
    template = Template.from_stack(stack)
    assert keys_of_rule(template) == [
        {"wildcard": "queries/*.jsonl"},
        {"wildcard": "queries/*.gz"},
    ]
    template.has_resource_properties(
        "AWS::Lambda::EventSourceMapping",
        {
            "BatchSize": 10_000,
            "MaximumBatchingWindowInSeconds": 30,
            "ScalingConfig": {"MaximumConcurrency": 2},
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        },
    )
    # Six times the function's time-out, and the window.
    template.has_resource_properties("AWS::SQS::Queue", {"VisibilityTimeout": 390})


def test_the_policy_of_the_queues_is_the_same_with_all_flags(make_stack):
    stack = make_stack({"@aws-cdk/aws-iam:minimizePolicies": True})
    BatchSegmentPipeline(
        stack,
        "Segments",
        solution_version=SolutionVersion.latest_of(SOLUTION),
        start_on_upload=True,
    )
    [policy] = (
        Template.from_stack(stack).find_resources("AWS::SQS::QueuePolicy").values()
    )
    allow, deny = policy["Properties"]["PolicyDocument"]["Statement"]
    assert len(policy["Properties"]["Queues"]) == 2
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert list(allow["Condition"]["ArnEquals"]) == ["aws:SourceArn"]
    assert (deny["Effect"], deny["Action"], deny["Sid"]) == ("Deny", "sqs:*", "TlsOnly")


def test_the_function_starts_this_state_machine_only(template, statements):
    found = statements(template, "StartRunRole")
    assert [(each["Action"], json.dumps(each["Resource"])[:14]) for each in found] == [
        (
            ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
            '{"Fn::GetAtt":',
        ),
        ("states:StartExecution", '{"Ref": "Segme'),
        (["logs:CreateLogStream", "logs:PutLogEvents"], '{"Fn::GetAtt":'),
        (["xray:PutTelemetryRecords", "xray:PutTraceSegments"], '"*"'),
    ]


@pytest.mark.parametrize(
    ("properties", "error", "message"),
    [
        ({"start_on_upload": "yes"}, TypeError, "start_on_upload must be True or"),
        ({"upload_suffixes": [".jsonl"]}, ValueError, "upload_suffixes has no effect"),
        (
            {"upload_window": cdk.Duration.minutes(1)},
            ValueError,
            "upload_window has no effect without start_on_upload=True",
        ),
        ({"suffixes": ".jsonl"}, TypeError, "upload_suffixes must be a list of how"),
        ({"suffixes": []}, ValueError, "no upload would start a run"),
        ({"suffixes": [1]}, TypeError, "upload_suffixes must be a list of how"),
        ({"suffixes": [""]}, ValueError, "got ''"),
        ({"suffixes": ["*.jsonl"]}, ValueError, r"without \* and \\"),
        ({"suffixes": ["a\\"]}, ValueError, r"without \* and \\"),
        ({"suffixes": ["folder/"]}, ValueError, "not ending in '/'"),
        ({"suffixes": [cdk.Aws.REGION]}, ValueError, "must be known at synth"),
        ({"suffixes": [f".{n:0100}" for n in range(9)]}, ValueError, "leave some out"),
        ({"window": 60}, TypeError, "upload_window must be a Duration"),
        ({"window": cdk.Duration.minutes(6)}, ValueError, "from 1 second to 5 minutes"),
        ({"window": cdk.Duration.millis(1500)}, ValueError, "must be whole seconds"),
        ({"window": cdk.Duration.seconds(0)}, ValueError, "from 1 second"),
        (
            {"window": cdk.Duration.seconds(cdk.Token.as_number({"Ref": "P"}))},
            ValueError,
            "upload_window must be known at synth",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(make_pipeline, properties, error, message):
    given = {
        f"upload_{name}" if name in {"suffixes", "window"} else name: value
        for name, value in properties.items()
    }
    if given.keys() != properties.keys():
        given["start_on_upload"] = True
    with pytest.raises(error, match=message):
        make_pipeline(**given)


def test_the_owner_of_an_imported_bucket_is_told_what_to_switch_on(
    stack, make_pipeline
):
    theirs = s3.Bucket.from_bucket_name(stack, "Theirs", "their-bucket")
    make_pipeline(input_bucket=theirs, start_on_upload=True)
    [warning] = Annotations.from_stack(stack).find_warning(
        "*", Match.string_like_regexp("inputBucketEventsNotManaged")
    )
    assert "input_bucket 'their-bucket' is imported" in warning.entry.data
    assert "EventBridgeEnabled: true" in warning.entry.data


def test_a_bucket_of_the_app_sends_its_events_without_a_warning(stack, make_pipeline):
    bucket = s3.Bucket(stack, "Ours")
    make_pipeline(input_bucket=bucket, start_on_upload=True)
    template = Template.from_stack(stack)
    [found] = [
        each
        for each in template.find_resources("AWS::S3::Bucket").values()
        if "NotificationConfiguration" in each["Properties"]
    ]
    assert found["Properties"]["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
    }
    Annotations.from_stack(stack).has_no_warning("*", WARNING)


def test_notifications_that_would_undo_the_switch_are_an_error(stack, make_pipeline):
    bucket = s3.Bucket(stack, "Ours")
    make_pipeline(input_bucket=bucket, start_on_upload=True)
    topic = sns.Topic(stack, "Topic")
    bucket.add_event_notification(
        s3.EventType.OBJECT_REMOVED, notifications.SnsDestination(topic)
    )
    with pytest.raises(RuntimeError, match=r"enable_event_bridge_notification\(\)"):
        stack.node.root.synth()


def test_notifications_that_keep_the_switch_are_none(stack, make_pipeline):
    bucket = s3.Bucket(stack, "Ours", event_bridge_enabled=True)
    make_pipeline(input_bucket=bucket, start_on_upload=True)
    bucket.add_event_notification(
        s3.EventType.OBJECT_REMOVED,
        notifications.SnsDestination(sns.Topic(stack, "Topic")),
    )
    stack.node.root.synth()


def test_alarms_find_what_may_go_wrong(make_pipeline):
    uploads = make_pipeline(start_on_upload=True)._uploads
    assert isinstance(uploads.function, lambda_.Function)
    assert uploads.queue.queue_arn != uploads.dead_letter_queue.queue_arn
    assert make_pipeline("Other")._uploads is None
