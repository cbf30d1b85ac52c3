"""What is told of a run, from all that EventBridge may say and S3 may have."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from jsonschema import Draft202012Validator

import cdk_personalize_segments
from segment_tasks import clients, notices, notify, run_events

ACCOUNT = "123456789012"
EXECUTION = f"arn:aws:states:us-east-1:{ACCOUNT}:execution:pipeline:one"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:told"
STARTED = "2026-01-05T06:00:00.000Z"
STARTED_AT = int(datetime.fromisoformat(STARTED).timestamp() * 1000)
FULL = ("LimitExceededException", "More than 5 resources with PENDING status.")
SCHEMAS = {
    schema["title"]: Draft202012Validator(schema["properties"]["detail"])
    for path in (Path(cdk_personalize_segments.__file__).parent / "schemas").glob(
        "run-*.json"
    )
    for schema in [json.loads(path.read_text(encoding="utf-8"))]
}


class Told:
    """Takes what is put and published, or refuses it."""

    def __init__(self):
        self.events = []
        self.messages = []
        self.refused = None
        self.denied = False

    def put_events(self, *, Entries):  # noqa: N803
        if self.refused:
            return {"FailedEntryCount": 1, "Entries": [self.refused]}
        for entry in Entries:
            assert entry["Source"] == "cdk-personalize-segments"
            SCHEMAS[entry["DetailType"]].validate(json.loads(entry["Detail"]))
            self.events.append((entry["DetailType"], json.loads(entry["Detail"])))
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}

    def publish(self, **message):
        if self.denied:
            answer = {"Error": {"Code": "NotFound", "Message": "Topic does not exist"}}
            raise ClientError(answer, "Publish")
        assert len(message["Subject"]) < 100
        assert message["Subject"].isascii()
        assert message["Subject"].isprintable()
        message["Message"].encode()
        self.messages.append(message)


@pytest.fixture
def told(monkeypatch, cloud):
    told = Told()
    monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", TOPIC)
    for client in ("events", "events_once", "sns"):
        monkeypatch.setattr(clients, client, lambda: told)
    return told


def change(status="FAILED", execution=EXECUTION, **detail):
    return {
        "source": "aws.states",
        "detail": {
            "executionArn": execution,
            "status": status,
            "startDate": STARTED_AT,
            "stopDate": STARTED_AT + 65_250,
            "input": "{}",
            "output": None,
            **detail,
        },
    }


def told_of(told, *args, **detail):
    notify.handler(change(*args, **detail), None)
    [(_, event)], [message] = told.events, told.messages
    return SimpleNamespace(event=event, **message)


def test_a_run_without_a_manifest_is_told_as_far_as_it_is_known(told):
    told = told_of(told, "ABORTED", input=None)
    assert told.event["input"] is told.event["manifest"] is None
    assert told.event["startedAt"] == STARTED
    assert told.event["endedAt"] == "2026-01-05T06:01:05.250Z"
    assert told.TopicArn == TOPIC
    assert told.Message.splitlines() == [
        f"The run {told.event['run']} was aborted.",
        "",
        "The execution was stopped before its end. If its job was created, that goes "
        "on in Personalize: start an execution with "
        f'{{"resume": "{told.event["run"]}"}} to collect its segments.',
        "",
        "Input:     not known",
        "Time:      1 minute 5 seconds in all",
        "Pipeline:  films",
        "Execution: https://us-east-1.console.aws.amazon.com/states/home"
        f"?region=us-east-1#/v2/executions/details/{EXECUTION}",
    ]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "all query files"),
        ({"queries": "monday"}, "monday"),
        ({"resume": "films-0"}, "that of the run films-0"),
        ({"files": [{"key": "a"}, {"key": "b"}]}, "2 uploaded files"),
        ({"queries": 7}, "all query files"),
        ([1], "not known"),
    ],
)
def test_the_input_is_told_in_a_few_words(told, given, line):
    message = told_of(told, input=json.dumps(given)).Message
    assert f"Input:     {line}\n" in message


def test_a_run_that_failed_is_told_in_the_words_of_its_manifest(told, cloud):
    cloud.items("1", "2")
    run = cloud.prepare()["run"]
    failure = {"error": "QueueTimeout", "cause": "No job. Wait."}
    end = cloud.finish(run, None, failure=failure)["failure"]
    told = told_of(told, **end)
    assert (told.event["error"], told.event["cause"]) == tuple(failure.values())
    assert told.event["queries"] == 2
    assert told.event["failedQueries"] is told.event["users"] is None
    assert told.Subject == "films: run failed (QueueTimeout)"
    manifest = f"s3://outputs/results/{run['name']}/manifest.json"
    assert f"Manifest:  {manifest}\n" in told.Message


def test_failed_queries_are_in_the_subject(told, cloud, answer_line):
    run, job = cloud.ready("1", "2", "3")
    cloud.answer(
        answer_line("1", "ann"), answer_line("2", error="unknown"), answer_line("3")
    )
    cloud.collect(run, job)
    output = cloud.finish(run, job)["result"]
    told = told_of(told, "SUCCEEDED", output=json.dumps(output))
    assert told.Subject == "films: run succeeded, but 1 of 3 queries failed"
    assert "Queries:   3, 1 failed\n" in told.Message
    assert "Users:     1\n" in told.Message
    assert "ann" not in told.Message
    assert told.event["skippedLines"] == 0


def test_a_manifest_that_is_gone_or_refused_is_done_without(told, cloud, monkeypatch):
    def refuse(bucket, key):
        raise ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")

    monkeypatch.setattr(notify.objects, "read_json", refuse)
    output = {"run": "films-0", "queries": 7, "failedQueries": 0, "users": 9}
    told = told_of(told, "SUCCEEDED", output=json.dumps(output))
    assert (told.event["queries"], told.event["users"]) == (7, 9)
    assert told.event["failedQueries"] == 0


def test_a_failure_that_could_not_be_recorded_is_told_in_sentences(told):
    cause = {
        "failure": {"error": "QueueTimeout", "cause": "No job. Wait."},
        "notRecorded": {"Error": "Lambda.Unknown", "Cause": "It was killed."},
    }
    told = told_of(told, error="FailureNotRecorded", cause=json.dumps(cause))
    assert told.event["cause"] == (
        "No job. Wait. It could not be recorded: The step 'Record failure' ended with "
        "an unforeseen error: Lambda.Unknown: It was killed."
    )


@pytest.mark.parametrize("cause", ["{", "[]", '{"failure": 1}', None])
def test_a_failure_of_any_form_is_told(told, cause):
    told = told_of(told, error="FailureNotRecorded", cause=cause)
    assert told.event["cause"] == cause or "history" in told.event["cause"]
    assert told.Message


def test_long_and_odd_words_make_a_message_that_sns_takes(told):
    error, cause = "Grüße\n" * 50, "ü\ud800" * 9000
    told = told_of(told, error=error, cause=cause)
    assert told.Subject.startswith("films: run failed (Gr??e?Gr??e?")
    assert len(told.Message) < 10_000
    assert told.event["cause"] == cause


@pytest.mark.parametrize(
    ("partition", "region", "address"),
    [
        ("aws", "eu-west-1", "https://eu-west-1.console.aws.amazon.com/states/home"),
        ("aws-cn", "cn-north-1", "https://cn-north-1.console.amazonaws.cn/states/home"),
        (
            "aws-us-gov",
            "us-gov-west-1",
            "https://us-gov-west-1.console.amazonaws-us-gov.com/states/home",
        ),
    ],
)
def test_the_console_is_that_of_the_partition(partition, region, address):
    arn = f"arn:{partition}:states:{region}:{ACCOUNT}:execution:pipeline:one"
    expected = f"{address}?region={region}#/v2/executions/details/{arn}"
    assert notices.console_link(arn) == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 seconds"),
        (59.9, "59 seconds"),
        (61, "1 minute 1 second"),
        (7200, "2 hours"),
        (90_061, "1 day 1 hour"),
    ],
)
def test_durations_are_told_in_two_units(seconds, text):
    assert notices.duration(seconds) == text


def test_where_the_message_fails_the_event_is_put_and_lambda_tries_again(told):
    told.denied = True
    for _ in range(2):
        with pytest.raises(ClientError, match="Topic does not exist"):
            notify.handler(change(), None)
    assert len(told.events) == 2
    told.denied = False
    notify.handler(change(), None)
    assert len(told.messages) == 1


def test_where_the_event_fails_the_message_is_published(told):
    told.refused = {"ErrorCode": "ThrottlingException", "ErrorMessage": "later"}
    with pytest.raises(Exception, match="ThrottlingException: later"):
        notify.handler(change(), None)
    assert len(told.messages) == 1


def test_without_a_topic_there_is_an_event_only(told, monkeypatch):
    monkeypatch.delenv("NOTIFICATION_TOPIC_ARN")
    notify.handler(change(), None)
    assert (len(told.events), told.messages) == (1, [])


class Waiting:
    """A run that waits for a job slot."""

    def __init__(self, cloud):
        cloud.items("1")
        self._cloud = cloud
        self.run = cloud.prepare()["run"]
        self.waiting = None

    def look(self, seconds):
        instant = datetime.fromisoformat(STARTED) + timedelta(seconds=seconds)
        self._cloud.personalize.trouble("CreateBatchSegmentJob", FULL)
        result = self._cloud.create(
            self.run,
            instant.isoformat().replace("+00:00", "Z"),
            self.waiting,
            queue_timeout=600,
        )
        self.waiting = result["waiting"]
        return result


@pytest.fixture
def waiting(cloud, monkeypatch):
    monkeypatch.setenv(run_events.TELL_OF_QUEUEING, "true")
    return Waiting(cloud)


def test_queueing_is_told_once_at_half_of_the_time(told, waiting):
    assert waiting.look(0)["outcome"] == "wait"
    # Not later than then.
    assert waiting.look(290)["waitSeconds"] == 10
    assert told.events == []
    for seconds in (300, 400, 599):
        assert waiting.look(seconds)["outcome"] == "wait"
    [(kind, detail)] = told.events
    assert kind == run_events.QUEUED_TOO_LONG
    assert detail["waitedSeconds"] == 300
    assert detail["failsAt"] == "2026-01-05T06:10:00.000Z"
    assert detail["reason"] == FULL[1]
    assert waiting.look(600)["failure"]["error"] == "QueueTimeout"
    notify.handler({"source": run_events.SOURCE, "detail": detail}, None)
    assert len(told.events) == 1
    [message] = told.messages
    assert message["Subject"] == "films: run has waited for a job slot for 5 minutes"
    assert "at 2026-01-05 06:10 UTC with QueueTimeout" in message["Message"]
    assert FULL[1] in message["Message"]


def test_queueing_that_cannot_be_told_fails_no_run_and_is_told_later(
    told, waiting, caplog
):
    waiting.look(0)
    told.refused = {"ErrorCode": "AccessDenied", "ErrorMessage": "no"}
    assert waiting.look(300)["outcome"] == "wait"
    assert "Not told that a run is queued too long: AccessDenied: no" in caplog.text
    told.refused = None
    waiting.look(400)
    assert len(told.events) == 1


def test_queueing_is_not_told_where_nobody_asked(told, waiting, monkeypatch):
    monkeypatch.delenv(run_events.TELL_OF_QUEUEING)
    waiting.look(0)
    assert set(waiting.look(400)["waiting"]) == {"since", "attempts", "refusedSince"}
    assert told.events == []
