"""Looking at a job: whatever the service calls its state, until its time is up."""

from datetime import datetime, timedelta

import pytest
from botocore.exceptions import ClientError

SINCE = "2026-01-05T06:00:00Z"


def later(seconds):
    instant = datetime.fromisoformat(SINCE) + timedelta(seconds=seconds)
    return instant.isoformat().replace("+00:00", "Z")


@pytest.fixture
def running(cloud):
    cloud.items("1")
    run = cloud.prepare()["run"]
    job = cloud.create(run, SINCE)["job"]
    return run, job


def look(cloud, running, status, seconds=300, timeout=86400, **more):
    run, job = running
    cloud.personalize.jobs[job["arn"]].update(status=status, **more)
    return cloud.poll(run, job, later(seconds), timeout)


@pytest.mark.parametrize(
    "status",
    [
        "PENDING",
        "IN PROGRESS",
        "CREATE PENDING",
        "CREATE IN_PROGRESS",
        "DELETE PENDING",
    ],
)
def test_a_job_that_is_not_over_is_looked_at_again(cloud, running, status):
    result = look(cloud, running, status)
    assert result == {
        "outcome": "working",
        "job": {
            **running[1],
            "looks": 1,
            "status": status,
            "createdAt": "2026-01-05T06:01:00Z",
            "updatedAt": "2026-01-05T06:02:00.500000Z",
        },
        "waitSeconds": 300,
        "failure": None,
    }


def test_an_active_job_is_done(cloud, running):
    result = look(cloud, running, "ACTIVE", timeout=300)
    assert result["outcome"] == "done"
    assert result["job"]["finishedAt"] == later(300)
    assert result["failure"] is None


def test_a_failed_job_fails_in_the_words_of_the_service(cloud, running):
    reason = "Insufficient privileges for accessing data in S3"
    result = look(cloud, running, "CREATE FAILED", failureReason=reason)
    assert result["outcome"] == "failed"
    assert result["job"]["status"] == "CREATE FAILED"
    assert result["failure"]["error"] == "JobFailed"
    assert reason in result["failure"]["cause"]
    assert f'{{"resume": "{running[0]["name"]}"}}' in result["failure"]["cause"]


def test_a_failed_job_without_a_reason_is_told_as_such(cloud, running):
    result = look(cloud, running, "CREATE FAILED")
    assert "no reason given" in result["failure"]["cause"]


def test_the_last_wait_ends_with_the_time_of_the_job(cloud, running):
    result = look(cloud, running, "CREATE IN_PROGRESS", seconds=500, timeout=600)
    assert (result["outcome"], result["waitSeconds"]) == ("working", 100)


def test_a_job_whose_time_is_up_fails_but_can_be_collected_later(cloud, running):
    result = look(cloud, running, "CREATE IN_PROGRESS", seconds=600, timeout=600)
    assert result["outcome"] == "failed"
    assert result["failure"]["error"] == "JobTimeout"
    cause = result["failure"]["cause"]
    assert "goes on in Personalize" in cause
    assert f'{{"resume": "{running[0]["name"]}"}}' in cause
    assert "600 seconds" in cause


@pytest.mark.parametrize(
    "trouble",
    [
        ("ThrottlingException", "Rate exceeded"),
        ("LimitExceededException", "Rate exceeded"),
        ("InternalFailure", "?", 500),
    ],
)
def test_no_answer_says_nothing_about_the_job(cloud, running, trouble):
    cloud.personalize.trouble("DescribeBatchSegmentJob", *[trouble] * 3)
    for seconds in (300, 86400):
        result = look(cloud, running, "ACTIVE", seconds)
        assert (result["outcome"], result["waitSeconds"]) == ("working", 60)
        assert result["job"] == {**running[1], "looks": 1}
    result = look(cloud, running, "ACTIVE", 86400 + 900)
    assert result["failure"]["error"] == "JobTimeout"


def test_a_grant_that_is_new_is_waited_for_and_then_named(cloud, running):
    trouble = ("AccessDeniedException", "No.")
    cloud.personalize.trouble("DescribeBatchSegmentJob", *[trouble] * 3)
    run, job = running
    for seconds in (7200, 7200 + 179):
        result = look(cloud, (run, job), "ACTIVE", seconds)
        assert result["outcome"] == "working"
        job = result["job"]
    result = look(cloud, (run, job), "ACTIVE", 7200 + 180)
    assert result["failure"]["error"] == "AccessDenied"
    assert "personalize:DescribeBatchSegmentJob" in result["failure"]["cause"]
    assert running[1]["arn"] in result["failure"]["cause"]


def test_an_answer_ends_the_count_of_refusals(cloud, running):
    run, job = running
    cloud.personalize.trouble("DescribeBatchSegmentJob", ("AccessDeniedException", ""))
    job = look(cloud, (run, job), "IN PROGRESS", 300)["job"]
    job = look(cloud, (run, job), "IN PROGRESS", 360)["job"]
    assert job["refusedSince"] is None


def test_a_job_that_is_new_may_not_be_found_at_first(cloud, running):
    run, job = running
    cloud.personalize.jobs.clear()
    result = cloud.poll(run, job, later(300))
    assert (result["outcome"], result["waitSeconds"]) == ("working", 60)
    result = cloud.poll(run, job, later(600))
    assert result["failure"]["error"] == "JobFailed"
    assert job["arn"] in result["failure"]["cause"]


def test_what_is_not_foreseen_is_left_to_the_machine(cloud, running):
    cloud.personalize.trouble("DescribeBatchSegmentJob", ("ValidationException", "?"))
    with pytest.raises(ClientError, match="ValidationException"):
        look(cloud, running, "ACTIVE")
