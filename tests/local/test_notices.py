"""Notices and events of deployed pipelines, from the end of a run to who is told."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import aws_cdk as cdk
import pytest
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from botocore.exceptions import ClientError
from jsonschema import Draft202012Validator

import cdk_personalize_segments
from cdk_personalize_segments import BatchSegmentPipeline, RunEvent, SolutionVersion

pytestmark = pytest.mark.xdist_group("notices")

SCHEMAS = {
    schema["title"]: Draft202012Validator(
        schema, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    for path in (Path(cdk_personalize_segments.__file__).parent / "schemas").glob(
        "run-*.json"
    )
    for schema in [json.loads(path.read_text(encoding="utf-8"))]
}
# Notes the event that it is given, in its log.
NOTE = 'def handler(event, context): print("noted " + event["detail"]["run"])'


@pytest.fixture(scope="module")
def version(aws, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "items.csv").write_text("ITEM_ID\n1\n2\n")
    rows = [f"user-{user},{item}" for user in range(9) for item in (1, 2)]
    (folder / "interactions.csv").write_text("\n".join(["USER_ID,ITEM_ID", *rows]))
    return aws.personalize.seed(folder, name="notices")


@pytest.fixture(scope="module")
def stack(aws, version, deploy):
    """A pipeline whose notices go to an encrypted topic, and events to three places."""

    def define(stack):
        topic = sns.Topic(stack, "Topic", master_key=kms.Key(stack, "Key"))
        topic.add_subscription(subscriptions.EmailSubscription("on-call@example.com"))
        queue = sqs.Queue(stack, "Queue")
        note = lambda_.Function(
            stack,
            "Note",
            code=lambda_.Code.from_inline(NOTE),
            handler="index.handler",
            runtime=lambda_.Runtime.PYTHON_3_14,
        )
        pipeline = BatchSegmentPipeline(
            stack,
            "Told",
            solution_version=SolutionVersion.from_arn(version),
            queue_timeout=cdk.Duration.hours(6),
            notification_topic=topic,
        )
        for event in RunEvent:
            pipeline.on_event(event.name, event=event, target=targets.SqsQueue(queue))
        pipeline.on_event(
            "Note", event=RunEvent.SUCCEEDED, target=targets.LambdaFunction(note)
        )
        cdk.CfnOutput(stack, "QueueUrl", value=queue.queue_url)
        cdk.CfnOutput(stack, "TopicArn", value=topic.topic_arn)
        return {"Told": pipeline}

    pipeline = deploy("Notices", define)["Told"]
    [found] = aws.client("cloudformation").describe_stacks(StackName="Notices")[
        "Stacks"
    ]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}
    pipeline.put("two", [{"itemId": "1"}, {"itemId": "2"}])
    return SimpleNamespace(
        aws=aws,
        pipeline=pipeline,
        topic=outputs["TopicArn"],
        queue=outputs["QueueUrl"],
    )


@pytest.fixture(autouse=True)
def usual(aws):
    """Forget what was told and scripted before."""
    personalize = aws.personalize
    timing = personalize.timing
    aws.topics.messages.clear()
    yield
    personalize.timing = timing
    personalize.query_errors.clear()
    personalize.jobs.clear()


@pytest.fixture
def told(stack):
    """Give the one message and the one event that there are by now."""
    _take(stack)

    def look():
        stack.aws.clock.settle()
        [message] = _messages(stack)
        [event] = _take(stack)
        _validate(event)
        return message, event

    return look


def _validate(event):
    """Check an event against its published schema, which names every field."""
    schema = SCHEMAS[event["detail-type"]]
    schema.validate(event)
    known = schema.schema["properties"]
    assert event.keys() == known.keys()
    assert event["detail"].keys() == known["detail"]["properties"].keys()


def _messages(stack):
    return [
        each
        for each in stack.aws.messages("on-call@example.com")
        if each.topic_arn == stack.topic
    ]


def _take(stack):
    client, taken = stack.aws.client("sqs"), []
    stack.aws.clock.settle()
    while found := client.receive_message(
        QueueUrl=stack.queue, MaxNumberOfMessages=10
    ).get("Messages"):
        for each in found:
            taken.append(json.loads(each["Body"]))
            client.delete_message(
                QueueUrl=stack.queue, ReceiptHandle=each["ReceiptHandle"]
            )
    return taken


def _ended(aws, arn):
    return aws.client("stepfunctions").describe_execution(executionArn=arn)["stopDate"]


def _same_second(aws, execution_arn, message, event):
    """Tell whether message and event came in the second in which a run ended."""
    ended = _ended(aws, execution_arn).astimezone(UTC)
    put = datetime.fromisoformat(event["time"])
    assert message.at - ended < timedelta(seconds=1)
    assert put - ended < timedelta(seconds=1)
    return True


def test_a_run_that_succeeded_is_told_in_the_same_second(stack, told):
    execution = stack.pipeline.run("two")
    message, event = told()
    assert _same_second(stack.aws, execution.arn, message, event)
    detail = event["detail"]
    output, run = execution.output, execution.output["run"]
    assert event["detail-type"] == RunEvent.SUCCEEDED.value
    assert event["resources"] == [execution.arn]
    shared = set(output) - {"output"}
    assert {each: detail[each] for each in shared} == {
        each: output[each] for each in shared
    }
    assert detail["stateMachineArn"] == stack.pipeline.state_machine_arn
    assert detail["input"] == {"queries": "two", "resume": None, "files": None}
    assert detail["workedSeconds"] > 0
    results = f"s3://{stack.pipeline.output_bucket}/results/{run}/"
    assert detail["results"] == results
    assert message.endpoint == "on-call@example.com"
    assert message.subject == f"{detail['pipeline']}: run succeeded"
    for words in (
        f"The run {run} succeeded.",
        "Input:     two\n",
        "Queries:   2\n",
        f"Users:     {output['users']}\n",
        f"Results:   {results}\n",
        f"#/v2/executions/details/{execution.arn}\n",
        ", queued ",
        ", worked ",
    ):
        assert words in message.body, message.body
    assert "user-" not in message.body


def test_a_run_that_failed_is_told_with_its_reason(stack, told):
    execution = stack.pipeline.run("nowhere")
    message, event = told()
    assert _same_second(stack.aws, execution.arn, message, event)
    detail = event["detail"]
    assert event["detail-type"] == RunEvent.FAILED.value
    assert (detail["status"], detail["error"]) == ("FAILED", execution.error)
    assert execution.cause == f"{detail['cause']} Manifest: {detail['manifest']}"
    assert detail["queries"] is detail["users"] is detail["jobArn"] is None
    assert message.subject.endswith(": run failed (InvalidInput)")
    assert f"failed.\n\n{detail['cause']}\n\n" in message.body
    assert message.body.count("manifest.json") == 1


def test_a_run_that_is_aborted_is_told_and_how_to_collect_its_segments(stack, told):
    aws = stack.aws
    with aws.clock.busy():
        # The clock stands still: the run gets to its first wait and no further.
        arn = stack.pipeline.start("two")
        deadline = time.monotonic() + 30
        while not aws.personalize.jobs and time.monotonic() < deadline:
            time.sleep(0.05)
        aws.client("stepfunctions").stop_execution(
            executionArn=arn, error="Operator", cause="not now"
        )
    message, event = told()
    assert _same_second(aws, arn, message, event)
    detail = event["detail"]
    assert (detail["status"], detail["error"]) == ("ABORTED", "ExecutionAborted")
    assert detail["manifest"] is detail["jobName"] is None
    assert message.subject.endswith(": run aborted")
    assert "(Operator: not now)" in message.body
    assert f'{{"resume": "{detail["run"]}"}}' in message.body
    resumed = stack.pipeline.run(resume=detail["run"])
    assert resumed.status == "SUCCEEDED"


def test_a_run_that_timed_out_is_told(stack, told):
    """What no run reaches by itself: the state machine's own time-out."""
    aws, client = stack.aws, stack.aws.client("stepfunctions")
    machine = client.describe_state_machine(
        stateMachineArn=stack.pipeline.state_machine_arn
    )
    short = {**json.loads(machine["definition"]), "TimeoutSeconds": 300}
    of = {"stateMachineArn": stack.pipeline.state_machine_arn}
    client.update_state_machine(**of, definition=json.dumps(short))
    try:
        execution = stack.pipeline.run("two")
    finally:
        client.update_state_machine(**of, definition=machine["definition"])
    assert execution.status == "TIMED_OUT"
    message, event = told()
    assert _same_second(aws, execution.arn, message, event)
    assert event["detail"]["error"] == "ExecutionTimedOut"
    assert message.subject.endswith(": run timed out")


def test_a_run_that_is_queued_too_long_is_told_once_at_half_of_the_time(stack):
    stack.aws.personalize.occupy(5, for_=timedelta(days=30))
    _take(stack)
    execution = stack.pipeline.run("two")
    event, end = _take(stack)
    message, last = _messages(stack)
    assert last.subject.endswith(": run failed (QueueTimeout)")
    assert end["detail-type"] == RunEvent.FAILED.value
    assert event["detail-type"] == RunEvent.QUEUED_TOO_LONG.value
    _validate(event)
    arn = execution.arn
    detail = event["detail"]
    assert detail["executionArn"] == arn
    assert detail["waitedSeconds"] == detail["queueTimeoutSeconds"] / 2 == 3 * 3600
    assert "LimitExceeded" in detail["reason"] or "5 resources" in detail["reason"]
    since, fails = (
        datetime.fromisoformat(detail[each]) for each in ("waitingSince", "failsAt")
    )
    assert fails - since == timedelta(hours=6)
    assert message.subject.endswith(": run has waited for a job slot for 3 hours")
    assert detail["run"] in message.body
    assert f"{fails:%Y-%m-%d %H:%M} UTC" in message.body


def test_a_run_that_had_nothing_to_do_is_told_so(stack, told):
    sentence = "All 3 files have been processed by other runs."
    output = {"run": "Told-1", "queries": None, "nothingToDo": sentence}
    _change(stack, output=json.dumps(output))
    message, event = told()
    assert event["detail-type"] == RunEvent.SUCCEEDED.value
    assert event["detail"]["nothingToDo"] == sentence
    assert message.subject.endswith(": run had nothing to do")
    assert f"had nothing to do.\n\n{sentence}\n\n" in message.body


def test_a_target_of_another_kind_is_told_as_well(stack):
    execution = stack.pipeline.run("two")
    stack.aws.clock.settle()
    assert f"noted {execution.output['run']}" in "".join(_lines(stack, "Note"))


def test_other_machines_runs_are_not_told(stack):
    _take(stack)
    arn = stack.pipeline.state_machine_arn
    _change(stack, stateMachineArn=f"{arn}-other")
    _change(stack, status="RUNNING")
    assert _take(stack) == _messages(stack) == []


def _change(stack, **changed):
    """Tell of the end of an execution that never was."""
    arn = stack.pipeline.state_machine_arn
    execution = f"{arn.replace(':stateMachine:', ':execution:')}:made-up"
    detail = {
        "executionArn": execution,
        "stateMachineArn": arn,
        "status": "SUCCEEDED",
        "startDate": 1_767_592_800_000,
        "stopDate": 1_767_592_801_000,
        "input": "{}",
        "output": None,
        **changed,
    }
    stack.aws.events._rules.emit(
        "aws.states",
        "Step Functions Execution Status Change",
        detail,
        region="us-east-1",
        resources=[execution],
    )


def test_a_notice_that_fails_fails_no_run_and_is_noticed(stack):
    """The topic is gone: the run succeeds, and the function fails, three times."""
    _take(stack)
    aws = stack.aws
    sns_client = aws.client("sns")
    attributes = sns_client.get_topic_attributes(TopicArn=stack.topic)["Attributes"]
    sns_client.delete_topic(TopicArn=stack.topic)
    try:
        execution = stack.pipeline.run("two")
        aws.clock.advance(timedelta(minutes=5))
    finally:
        sns_client.create_topic(
            Name=stack.topic.rpartition(":")[2],
            Attributes={"KmsMasterKeyId": attributes["KmsMasterKeyId"]},
        )
        sns_client.subscribe(
            TopicArn=stack.topic, Protocol="email", Endpoint="on-call@example.com"
        )
    assert execution.status == "SUCCEEDED"
    run = execution.output["run"]
    # Once for each attempt: what is told of a run may come more than once.
    events = _take(stack)
    assert len(events) == 3
    assert {each["detail"]["run"] for each in events} == {run}
    assert len({each["id"] for each in events}) == 3
    lines = [each for each in _lines(stack, "Function") if run in each]
    assert len([each for each in lines if "Not told of a run" in each]) == 3
    assert not [each for each in lines if "Told of a run" in each]


def _lines(stack, group):
    """Give the log lines of the log groups with a name."""
    logs = stack.aws.client("logs")
    pages = logs.get_paginator("describe_log_groups").paginate()
    return [
        event["message"]
        for page in pages
        for each in page["logGroups"]
        if "Notices-" in each["logGroupName"] and group in each["logGroupName"]
        for event in logs.filter_log_events(logGroupName=each["logGroupName"])["events"]
    ]


def _function(stack, name):
    pages = stack.aws.client("lambda").get_paginator("list_functions").paginate()
    [found] = [
        each
        for page in pages
        for each in page["Functions"]
        if "Notices-Told" in each["FunctionName"] and name in each["FunctionName"]
    ]
    return found


@pytest.fixture
def client_as(stack):
    """Act as the role of one of the pipeline's functions."""

    def client(function, service):
        role = _function(stack, function)["Role"]
        session = stack.aws.sessions.issue(role)
        return stack.aws.create_client(service, "us-east-1", **session)

    return client


def _entry(source="cdk-personalize-segments", event=RunEvent.SUCCEEDED):
    return {"Source": source, "DetailType": event.value, "Detail": '{"run": "x"}'}


@pytest.mark.parametrize(
    ("function", "entry", "allowed"),
    [
        ("NoticesFunction", _entry(), True),
        ("NoticesFunction", _entry(event=RunEvent.FAILED), True),
        ("NoticesFunction", _entry(event=RunEvent.QUEUED_TOO_LONG), False),
        ("NoticesFunction", _entry(source="other"), False),
        ("CreateJob", _entry(event=RunEvent.QUEUED_TOO_LONG), True),
        ("CreateJob", _entry(), False),
        ("PollJob", _entry(event=RunEvent.QUEUED_TOO_LONG), False),
    ],
)
def test_events_are_put_in_this_library_s_name_only(
    client_as, function, entry, allowed
):
    client = client_as(function, "events")
    if allowed:
        assert not client.put_events(Entries=[entry])["FailedEntryCount"]
        return
    with pytest.raises(ClientError, match="events:PutEvents"):
        client.put_events(Entries=[entry])


def test_the_neighbours_of_what_telling_takes_are_denied(stack, client_as):
    other = stack.aws.client("sns").create_topic(Name="not-for-notices")["TopicArn"]
    topics = client_as("NoticesFunction", "sns")
    topics.publish(TopicArn=stack.topic, Message="x")
    objects = client_as("NoticesFunction", "s3")
    run = stack.pipeline.run("two").output["run"]
    bucket = {"Bucket": stack.pipeline.output_bucket}
    of_run = f"results/{run}"
    objects.get_object(**bucket, Key=f"{of_run}/manifest.json")
    with pytest.raises(ClientError, match="NoSuchKey"):
        objects.get_object(**bucket, Key="results/none/manifest.json")
    [users] = [
        each
        for each in stack.pipeline.keys(bucket["Bucket"], of_run)
        if "/users/" in each
    ]
    for denied in (
        lambda: topics.publish(TopicArn=other, Message="x"),
        lambda: topics.set_topic_attributes(
            TopicArn=stack.topic, AttributeName="DisplayName", AttributeValue="x"
        ),
        lambda: objects.get_object(**bucket, Key=users),
        lambda: objects.put_object(**bucket, Key=f"{of_run}/manifest.json", Body=b""),
        lambda: client_as("CreateJob", "sns").publish(
            TopicArn=stack.topic, Message="x"
        ),
    ):
        with pytest.raises(ClientError, match=r"AccessDenied|not authorized"):
            denied()
