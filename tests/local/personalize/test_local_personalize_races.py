"""Many requests at once: nobody gets somebody else's error, and no job is lost."""

import itertools
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from moto.s3.models import s3_backends

from cdk_personalize_segments.local.personalize import storage, work

pytestmark = pytest.mark.emulates("personalize:CreateBatchSegmentJob")


@pytest.fixture
def hurried():
    """Make threads take turns so often that what can go wrong does."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.bridge("moto.s3.models.FakeKey.__init__")
def test_input_is_read_while_others_write_to_the_bucket(aws, pipeline, hurried):
    backend = s3_backends[aws.account_id]["aws"]
    for number in range(20):
        pipeline.put(f"run/{number:02}.json", {"itemId": "1"})
    reader = storage.JobStorage(
        aws=aws,
        job_arn="arn:aws:personalize:us-east-1:123456789012:batch-segment-job/j",
        role_arn=pipeline.role,
        input_path="s3://inputs/run/",
        output_path="s3://outputs/run/",
    )
    for number in range(200):
        backend.put_object("inputs", f"other/{number}", b"")
    stop = threading.Event()
    names = [f"run/{number:02}.json" for number in range(20)]

    def write():
        for number in itertools.count():
            if stop.is_set():
                return
            backend.put_object("inputs", f"{threading.get_ident()}/{number}", b"")
            backend.put_object("inputs", names[number % 20], b'{"itemId": "2"}\n')

    with ThreadPoolExecutor(3) as writers:
        done = [writers.submit(write) for _ in range(3)]
        try:
            for _ in range(10):
                assert [each.key for each in reader.read()] == names
        finally:
            stop.set()
    for each in done:
        each.result()


def test_requests_of_many_threads_settle_jobs_once(aws, pipeline, hurried):
    pipeline.put("run/part.json", {"itemId": "1"})
    arns = [pipeline.create(jobName=f"run-{number}") for number in range(5)]
    aws.clock.advance(minutes=2)

    def ask(number):
        pipeline.s3.put_object(Bucket="inputs", Key=f"run/more-{number}", Body=b"")
        return pipeline.describe(arns[number % 5])["status"]

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(24))) == {"CREATE IN_PROGRESS"}
        aws.clock.advance(hours=1)
        assert set(threads.map(ask, range(24))) == {"ACTIVE"}
    assert pipeline.lines()[0]["output"]["usersList"] == ["ann", "cleo", "ben"]


def test_a_step_that_breaks_fails_its_job_and_no_request(
    aws, pipeline, monkeypatch, caplog
):
    pipeline.put("run/part.json", {"itemId": "1"})
    first, second = pipeline.create(), pipeline.create(jobName="run-2")
    read, calls = storage.JobStorage.read, []

    def broken(self):
        calls.append(self)
        if len(calls) == 1:
            raise RuntimeError("dictionary changed size during iteration")
        return read(self)

    monkeypatch.setattr(storage.JobStorage, "read", broken)
    aws.clock.advance(hours=1)

    with caplog.at_level(logging.ERROR, logger=work.__name__):
        assert pipeline.s3.list_objects_v2(Bucket="outputs")["KeyCount"] == 1
    job = pipeline.describe(first)
    assert job["status"] == "CREATE FAILED"
    assert "dictionary changed size" in job["failureReason"]
    assert "run-1 failed in local AWS" in caplog.text
    assert pipeline.describe(second)["status"] == "ACTIVE"


def test_an_output_that_cannot_be_written_fails_the_job(aws, pipeline, monkeypatch):
    pipeline.put("run/part.json", {"itemId": "1"})
    arn = pipeline.create()

    def broken(*_):
        raise OSError("No space left")

    monkeypatch.setattr(storage.JobStorage, "write", broken)
    aws.clock.advance(hours=1)

    job = pipeline.describe(arn)
    assert (job["status"], "No space left" in job["failureReason"]) == (
        "CREATE FAILED",
        True,
    )


def test_an_object_that_is_deleted_while_it_is_read_fails_the_job(
    aws, pipeline, monkeypatch
):
    pipeline.put("run/part.json", {"itemId": "1"})
    arn = pipeline.create()
    check = storage.JobStorage._check_working
    backend = s3_backends[aws.account_id]["aws"]

    def meanwhile(self, action, uri, **more):
        check(self, action, uri, **more)
        if action == "s3:GetObject":
            backend.delete_object("inputs", "run/part.json")

    monkeypatch.setattr(storage.JobStorage, "_check_working", meanwhile)
    aws.clock.advance(hours=1)

    assert pipeline.describe(arn)["failureReason"] == (
        "run/part.json was deleted while the job read it."
    )
