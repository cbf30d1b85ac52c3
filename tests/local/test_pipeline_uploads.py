"""Deployed pipelines that start on upload: each version of a file in just one run."""

import json
import random
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion
from cdk_personalize_segments.local.messaging.event_source_mappings import _Poller

pytestmark = pytest.mark.xdist_group("uploads")

WINDOW = timedelta(minutes=5)
LONG = timedelta(hours=3)


@pytest.fixture(scope="module")
def pipelines(aws, tmp_path_factory, deploy):
    """A pipeline as it is, and one over a bucket of the app, by suffixes."""
    shop = tmp_path_factory.mktemp("shop")
    items = [str(number) for number in range(50)]
    (shop / "items.csv").write_text("\n".join(["ITEM_ID", *items]))
    views = [f"fan-{item},{item}" for item in items]
    (shop / "interactions.csv").write_text("\n".join(["USER_ID,ITEM_ID", *views]))
    version = SolutionVersion.from_arn(aws.personalize.seed(shop, name="uploads"))

    def define(stack):
        return {
            "Own": BatchSegmentPipeline(
                stack,
                "Own",
                solution_version=version,
                start_on_upload=True,
                poll_interval=cdk.Duration.minutes(30),
            ),
            # Not versioned; by the owner of another stack in true life.
            "Theirs": BatchSegmentPipeline(
                stack,
                "Theirs",
                solution_version=version,
                input_bucket=s3.Bucket(stack, "Bucket", enforce_ssl=True),
                start_on_upload=True,
                upload_suffixes=[".jsonl", ".gz"],
                upload_window=cdk.Duration.minutes(1),
            ),
        }

    return deploy("Uploads", define)


@pytest.fixture
def own(pipelines):
    return pipelines["Own"]


class Executions:
    """The executions of a pipeline since a moment."""

    def __init__(self, deployed):
        self._deployed = deployed
        self._client = deployed.aws.client("stepfunctions")
        self._before = {each["executionArn"] for each in self._list()}

    def _list(self):
        pages = self._client.get_paginator("list_executions").paginate(
            stateMachineArn=self._deployed.state_machine_arn
        )
        return [each for page in pages for each in page["executions"]]

    @property
    def all(self):
        """All of them, described, oldest first."""
        new = [
            each for each in self._list() if each["executionArn"] not in self._before
        ]
        told = [
            self._client.describe_execution(executionArn=each["executionArn"])
            for each in new
        ]
        return sorted(told, key=lambda each: each["startDate"])

    @property
    def outputs(self):
        """Their outputs, all of them having succeeded."""
        assert [each["status"] for each in self.all] == ["SUCCEEDED"] * len(self.all)
        return [json.loads(each["output"]) for each in self.all]


def upload(deployed, key, *items):
    body = "".join(f'{{"itemId": "{each}"}}\n' for each in items)
    put = deployed.aws.client("s3").put_object(
        Bucket=deployed.input_bucket, Key=f"queries/{key}", Body=body
    )
    return f"queries/{key}", put.get("VersionId")


def read(deployed, outputs):
    """What versions of files the runs read, with how many times."""
    return Counter(
        (source["key"], source["versionId"])
        for output in outputs
        if not output["nothingToDo"]
        for source in deployed.manifest(output["run"])["sources"]
    )


@contextmanager
def disturbed(aws, **how):
    aws.events.disturb_s3(**how)
    try:
        yield
    finally:
        aws.events.disturb_s3()


def test_uploads_of_a_moment_become_one_run_over_just_them(aws, own):
    upload(own, "long ago", "1")
    aws.clock.advance(LONG)
    executions = Executions(own)
    with aws.clock.busy():
        began = aws.clock.now()
        files = [upload(own, f"today/{number}", number) for number in range(3)]
        upload(own, "folder/")
    aws.clock.advance(LONG)
    [execution] = executions.all
    assert execution["startDate"] - began == WINDOW
    [output] = executions.outputs
    assert read(own, [output]) == Counter(files)
    assert output["queries"] == 3
    assert output["users"] == 3


def test_what_is_told_twice_and_late_is_read_once(aws, own):
    executions = Executions(own)
    with disturbed(aws, duplicated=0.7, latest=timedelta(minutes=30)):
        files = [upload(own, f"again/{number}", number) for number in range(9)]
        aws.clock.advance(LONG)
    assert read(own, executions.outputs) == Counter(files)
    idle = [each["nothingToDo"] for each in executions.outputs if each["nothingToDo"]]
    assert idle
    assert "has them already: queries/again/" in idle[0]


def test_a_run_by_hand_leaves_nothing_to_the_run_of_the_upload(aws, own):
    executions = Executions(own)
    with aws.clock.busy():
        file = upload(own, "by hand/a", "7")
        own.start("by hand")
    aws.clock.advance(LONG)
    assert read(own, executions.outputs) == Counter([file])
    assert len(executions.all) == 2


def test_an_upload_that_is_gone_ends_its_run_at_once_and_says_so(aws, own):
    executions = Executions(own)
    with aws.clock.busy():
        key, gone = upload(own, "gone", "1")
        aws.client("s3").delete_object(Bucket=own.input_bucket, Key=key, VersionId=gone)
    aws.clock.advance(WINDOW)
    [output] = executions.outputs
    assert output["nothingToDo"].endswith("have expired: queries/gone.")


def test_a_refused_run_names_the_line_and_lets_its_files_go(aws, own):
    executions = Executions(own)
    with aws.clock.busy():
        good = upload(own, "mixed/good", "1")
        aws.client("s3").put_object(
            Bucket=own.input_bucket, Key="queries/mixed/bad", Body=b"item 1\n"
        )
    aws.clock.advance(LONG)
    [refused] = executions.all
    assert (refused["status"], refused["error"]) == ("FAILED", "InvalidInput")
    assert "queries/mixed/bad, line 1" in refused["cause"]
    # As the console does it: a new execution with the same input, without the bad one.
    files = json.loads(refused["input"])["files"]
    again = own.run(files=[each for each in files if each["key"] == good[0]])
    assert again.status == "SUCCEEDED", again.cause
    assert read(own, [again.output]) == Counter([good])


def test_an_aborted_run_keeps_its_files_until_it_is_redriven(aws, own):
    executions, client = Executions(own), aws.client("stepfunctions")
    file = upload(own, "aborted", "1")
    aws.clock.advance(2 * WINDOW)
    [execution] = executions.all
    assert execution["status"] == "RUNNING"
    client.stop_execution(executionArn=execution["executionArn"])
    again = own.run(files=json.loads(execution["input"])["files"])
    assert "has them already: queries/aborted" in again.output["nothingToDo"]
    client.redrive_execution(executionArn=execution["executionArn"])
    aws.clock.advance(LONG)
    assert read(own, executions.outputs) == Counter([file])


def test_suffixes_and_a_bucket_without_versions(aws, pipelines):
    theirs = pipelines["Theirs"]
    executions = Executions(theirs)
    upload(theirs, "first.jsonl", "1", "2")
    upload(theirs, "notes.txt", "3")
    aws.clock.advance(LONG)
    upload(theirs, "first.jsonl", "1", "2")
    aws.clock.advance(LONG)
    outputs = executions.outputs
    assert [each["queries"] for each in outputs] == [2, 2]
    assert read(theirs, outputs) == Counter({("queries/first.jsonl", None): 2})


def test_what_cannot_be_processed_goes_to_the_dead_letters(aws, own):
    sqs = aws.client("sqs")
    [queue, letters] = [
        next(url for url in sqs.list_queues()["QueueUrls"] if f"OwnUpload{name}" in url)
        for name in ("Queue", "DeadLetters")
    ]
    sqs.send_message(QueueUrl=queue, MessageBody="no upload")
    aws.clock.advance(LONG)
    [letter] = sqs.receive_message(QueueUrl=letters)["Messages"]
    assert letter["Body"] == "no upload"


@pytest.mark.slow
def test_a_burst_of_a_thousand_uploads_is_one_job(aws, own):
    executions = Executions(own)
    with aws.clock.busy():
        files = [
            upload(own, f"burst/{number:04}", number % 50) for number in range(1000)
        ]
    aws.clock.advance(LONG)
    [output] = executions.outputs
    assert read(own, [output]) == Counter(files)
    assert output["queries"] == 1000


@pytest.mark.slow
def test_each_version_is_read_by_one_run_whatever_is_delivered(aws, own, monkeypatch):
    invoke, delivered = _Poller._invoke, []

    def counted(poller, batch):
        delivered.extend(batch)
        return invoke(poller, batch)

    monkeypatch.setattr(_Poller, "_invoke", counted)
    executions, chance, files = Executions(own), random.Random(7), []  # noqa: S311
    with disturbed(aws, duplicated=0.6, latest=timedelta(hours=1)):
        while len(delivered) < 1000:
            for _ in range(chance.randint(1, 60)):
                key = f"random/{chance.randrange(100)}"
                files.append(upload(own, key, *chance.sample(range(50), 3)))
            aws.clock.advance(timedelta(minutes=chance.randint(0, 20)))
        aws.clock.advance(timedelta(hours=48))
    outputs = executions.outputs
    assert len(delivered) >= 1000 > len(files)
    assert read(own, outputs) == Counter(files)
    assert set(Counter(files).values()) == {1}
    notes = [
        note
        for each in outputs
        if each["manifest"]
        for note in own.manifest(each["run"])["notes"]
    ]
    assert any("has them already" in each for each in notes)
