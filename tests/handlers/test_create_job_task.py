"""Creating the job of a run: once, whatever happens to requests and answers."""

import json
from datetime import datetime, timedelta

import pytest
from botocore.exceptions import (
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
)

from segment_tasks import clients

FULL = ("LimitExceededException", "More than 5 resources with PENDING status.")
SLOW = ("ThrottlingException", "Rate exceeded")
LOST = ReadTimeoutError(endpoint_url="https://personalize")
NOW = "2026-01-05T06:00:00Z"


def later(seconds):
    instant = datetime.fromisoformat(NOW) + timedelta(seconds=seconds)
    return instant.isoformat().replace("+00:00", "Z")


def waited(since=0, attempts=1, refused=None):
    return {
        "since": later(since),
        "attempts": attempts,
        "refusedSince": None if refused is None else later(refused),
    }


@pytest.fixture
def run(cloud):
    cloud.items("1")
    return cloud.prepare({"tags": {"team": "crm"}})["run"]


def failed(result, error):
    assert result["outcome"] == "failed", result
    assert result["job"] is None
    assert result["failure"]["error"] == error, result["failure"]
    return result["failure"]["cause"]


def test_a_job_is_created_as_the_run_says(cloud, run):
    result = cloud.create(run, NOW)
    name = run["name"]
    arn = f"arn:aws:personalize:us-east-1:123456789012:batch-segment-job/{name}"
    assert result == {
        "outcome": "created",
        "job": {
            "name": name,
            "arn": arn,
            "status": None,
            "since": NOW,
            "looks": 0,
            "queuedSince": NOW,
            "createdAt": None,
            "updatedAt": None,
            "finishedAt": None,
            "refusedSince": None,
            "output": run["output"],
        },
        "waiting": {"since": None, "attempts": 0, "refusedSince": None},
        "waitSeconds": 300,
        "failure": None,
    }
    assert cloud.personalize.sent("CreateBatchSegmentJob") == [
        {
            "jobName": name,
            "solutionVersionArn": run["solutionVersionArn"],
            "numResults": 25,
            "jobInput": {"s3DataSource": {"path": run["input"]}},
            "jobOutput": {"s3DataDestination": {"path": run["output"]}},
            "roleArn": "arn:aws:iam::123456789012:role/service",
            "tags": [{"tagKey": "team", "tagValue": "crm"}],
        }
    ]


def test_a_filter_goes_with_the_job_and_no_tags_if_there_are_none(cloud, run):
    arn = "arn:aws:personalize:us-east-1:123456789012:filter/members"
    cloud.create({**run, "filterArn": arn, "tags": {}})
    (request,) = cloud.personalize.sent("CreateBatchSegmentJob")
    assert request["filterArn"] == arn
    assert "tags" not in request


@pytest.mark.parametrize("trouble", [LOST, FULL, SLOW, ("InternalFailure", "?", 500)])
def test_a_job_whose_answer_was_lost_is_found_and_not_created_twice(
    cloud, run, trouble
):
    def create_and_lose(request):
        cloud.personalize.add_job(request)
        cloud.personalize.trouble("CreateBatchSegmentJob", trouble)

    cloud.personalize.trouble("CreateBatchSegmentJob", create_and_lose)
    assert cloud.create(run)["outcome"] == "created"
    again = cloud.create(run, later(60))
    assert again["outcome"] == "created"
    assert again["job"]["since"] == later(60)
    assert again["job"]["createdAt"] == "2026-01-05T06:01:00Z"
    assert len(cloud.personalize.jobs) == 1


def test_creating_is_never_repeated_by_the_sdk(cloud, run):
    cloud.personalize.trouble("CreateBatchSegmentJob", SLOW)
    assert cloud.create(run)["outcome"] == "wait"
    assert len(cloud.personalize.sent("CreateBatchSegmentJob")) == 1


@pytest.mark.parametrize("status", ["ACTIVE", "CREATE FAILED"])
def test_a_job_of_this_run_that_is_over_is_looked_at_at_once(cloud, run, status):
    cloud.create(run)
    (job,) = cloud.personalize.jobs.values()
    job["status"] = status
    result = cloud.create(run)
    assert (result["outcome"], result["waitSeconds"]) == ("created", 1)
    assert result["job"]["status"] == status


def test_a_job_of_this_name_with_other_input_fails_the_run(cloud, run):
    cloud.create({**run, "input": "s3://inputs/other.json"})
    cause = failed(cloud.create(run), "JobFailed")
    assert run["jobName"] in cause
    assert "start a new execution" in cause
    cloud.personalize.jobs.clear()
    cloud.create({**run, "output": "s3://outputs/other/"})
    failed(cloud.create(run), "JobFailed")


def test_without_a_free_slot_the_run_waits(cloud, run):
    cloud.personalize.trouble("CreateBatchSegmentJob", FULL, FULL)
    first = cloud.create(run, NOW)
    assert first["outcome"] == "wait"
    assert 60 <= first["waitSeconds"] <= 120
    assert first["waiting"] == {"since": NOW, "attempts": 1, "refusedSince": None}
    second = cloud.create(run, later(100), first["waiting"])
    assert second["waiting"] == {"since": NOW, "attempts": 2, "refusedSince": None}
    assert cloud.create(run, later(200), second["waiting"])["outcome"] == "created"


def test_waits_are_spread_and_get_longer_but_repeat_exactly(cloud, run):
    def waits(name, attempts):
        cloud.personalize.trouble("CreateBatchSegmentJob", FULL)
        result = cloud.create({**run, "name": name}, NOW, waited(attempts=attempts))
        return result["waitSeconds"]

    early = [waits("a", attempts) for attempts in range(10)]
    late = [waits("a", attempts) for attempts in range(10, 30)]
    assert all(60 <= each <= 120 for each in early)
    assert all(240 <= each <= 360 for each in late)
    assert len(set(early)) > 3
    assert [waits("a", attempts) for attempts in range(10)] == early
    assert [waits("b", attempts) for attempts in range(10)] != early


def test_a_wait_ends_with_the_time_for_it_and_a_last_look(cloud, run):
    cloud.personalize.trouble("CreateBatchSegmentJob", FULL)
    result = cloud.create(run, later(590), waited(), queue_timeout=600)
    assert (result["outcome"], result["waitSeconds"]) == ("wait", 10)
    cloud.personalize.trouble("CreateBatchSegmentJob", FULL)
    cause = failed(
        cloud.create(run, later(600), waited(), queue_timeout=600), "QueueTimeout"
    )
    assert FULL[1] in cause
    assert "600 seconds" in cause
    assert f'{{"resume": "{run["name"]}"}}' in cause
    result = cloud.create(run, later(600), waited(), queue_timeout=600)
    assert result["outcome"] == "created"


def test_a_job_that_took_the_last_slot_itself_is_found_at_the_last_look(cloud, run):
    def taken(request):
        cloud.personalize.add_job(request)

    cloud.personalize.trouble("CreateBatchSegmentJob", taken)
    result = cloud.create(run, later(600), waited(), queue_timeout=600)
    assert result["outcome"] == "created"


@pytest.mark.parametrize(
    "trouble",
    [
        SLOW,
        LOST,
        EndpointConnectionError(endpoint_url="https://personalize"),
        ("ServiceUnavailable", "later", 503),
    ],
)
def test_what_passes_by_itself_is_waited_for_briefly(cloud, run, trouble):
    cloud.personalize.trouble("CreateBatchSegmentJob", trouble)
    result = cloud.create(run)
    assert result["outcome"] == "wait"
    assert 5 <= result["waitSeconds"] <= 20


def test_a_look_that_gets_no_answer_does_not_hide_why_there_is_no_job(cloud, run):
    cloud.personalize.trouble("CreateBatchSegmentJob", FULL)
    cloud.personalize.trouble("DescribeBatchSegmentJob", SLOW)
    result = cloud.create(run)
    assert result["outcome"] == "wait"
    assert 60 <= result["waitSeconds"] <= 120


@pytest.mark.parametrize("trouble", [SLOW, FULL])
def test_a_day_without_a_job_takes_few_attempts(cloud, run, trouble, capsys):
    many = 1000
    cloud.personalize.trouble("CreateBatchSegmentJob", *[trouble] * many)
    cloud.personalize.trouble("DescribeBatchSegmentJob", *[SLOW] * many)
    seconds = 0
    result = cloud.create(run, later(seconds))
    while result["outcome"] == "wait":
        seconds += result["waitSeconds"]
        result = cloud.create(run, later(seconds), result["waiting"])
    assert seconds == 86400
    assert trouble[1].rstrip(".") in failed(result, "QueueTimeout")
    # An alarm for the whole time fires, too.
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["WaitingTime"] == 86400
    assert len(cloud.personalize.sent("CreateBatchSegmentJob")) <= 370


def test_a_job_that_exists_but_is_not_found_is_looked_for_three_minutes(cloud, run):
    trouble = ("ResourceAlreadyExistsException", "Another resource has this name.")
    cloud.personalize.trouble("CreateBatchSegmentJob", *[trouble] * 3)
    first = cloud.create(run, NOW)
    assert first["outcome"] == "wait"
    assert 15 <= first["waitSeconds"] <= 30
    second = cloud.create(run, later(179), first["waiting"])
    assert second["outcome"] == "wait"
    cause = failed(cloud.create(run, later(180), second["waiting"]), "JobFailed")
    assert trouble[1].rstrip(".") in cause
    assert f'{{"resume": "{run["name"]}"}}' in cause


def test_a_job_that_is_found_late_is_adopted(cloud, run):
    trouble = ("ResourceAlreadyExistsException", "Another resource has this name.")
    missing = ("ResourceNotFoundException", "Could not find it")
    cloud.create(run, NOW)
    cloud.personalize.trouble("CreateBatchSegmentJob", trouble)
    cloud.personalize.trouble("DescribeBatchSegmentJob", missing)
    assert cloud.create(run, NOW)["outcome"] == "wait"
    assert cloud.create(run, later(20))["outcome"] == "created"


@pytest.mark.parametrize(
    ("trouble", "error", "says"),
    [
        (
            (
                "AccessDeniedException",
                "User: arn:aws:sts::1:assumed-role/r/f is not authorized to perform: "
                "iam:PassRole on resource: arn:aws:iam::1:role/service because",
            ),
            "AccessDenied",
            "Allow iam:PassRole on arn:aws:iam::1:role/service",
        ),
        (
            ("AccessDeniedException", "No."),
            "AccessDenied",
            "Allow personalize:CreateBatchSegmentJob on arn:aws:personalize:us-east-1:",
        ),
        (
            ("InvalidInputException", "Insufficient privileges for accessing S3."),
            "AccessDenied",
            "Insufficient privileges for accessing S3. Allow Personalize s3:GetObject",
        ),
        (
            ("InvalidInputException", "Invalid S3 input path"),
            "InvalidInput",
            "Invalid S3 input path",
        ),
    ],
)
def test_grants_that_may_be_new_are_waited_for_three_minutes(
    cloud, run, trouble, error, says
):
    cloud.personalize.trouble("CreateBatchSegmentJob", trouble, trouble, trouble)
    first = cloud.create(run, NOW)
    assert first["outcome"] == "wait"
    assert 15 <= first["waitSeconds"] <= 30
    assert first["waiting"]["refusedSince"] == NOW
    second = cloud.create(run, later(179), first["waiting"])
    assert second["outcome"] == "wait"
    assert second["waiting"]["refusedSince"] == NOW
    assert says in failed(cloud.create(run, later(180), second["waiting"]), error)


def test_a_refusal_is_told_rather_than_a_time_out_of_the_queue(cloud, run):
    cloud.personalize.trouble("CreateBatchSegmentJob", ("AccessDeniedException", "No."))
    result = cloud.create(run, later(60), waited(refused=0), queue_timeout=60)
    failed(result, "AccessDenied")


def test_waiting_for_a_slot_forgets_an_earlier_refusal(cloud, run):
    cloud.personalize.trouble("CreateBatchSegmentJob", FULL)
    result = cloud.create(run, later(100), waited(refused=0))
    assert result["waiting"]["refusedSince"] is None


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (("InvalidInputException", "Name is bad"), "InvalidInput"),
        (("TooManyTagsException", "50 tags"), "InvalidInput"),
        (("ResourceNotFoundException", "no such version"), "SolutionVersionNotUsable"),
        (("ValidationException", "1 validation error"), "JobFailed"),
    ],
)
def test_what_is_final_fails_in_the_words_of_the_service(cloud, run, trouble, error):
    cloud.personalize.trouble("CreateBatchSegmentJob", trouble)
    assert trouble[1] in failed(cloud.create(run), error)


def test_a_filter_that_vanished_is_told_as_such(cloud, run):
    trouble = ("ResourceNotFoundException", "Could not find Filter")
    cloud.personalize.trouble("CreateBatchSegmentJob", trouble)
    failed(cloud.create({**run, "filterArn": "arn"}), "FilterNotUsable")


def test_a_request_that_the_sdk_does_not_send_is_told(cloud, run, monkeypatch):
    def refuse(**_):
        raise ParamValidationError(report="numResults")

    client = clients.personalize_once()
    monkeypatch.setattr(client, "create_batch_segment_job", refuse)
    assert "numResults" in failed(cloud.create(run), "JobFailed")


@pytest.mark.parametrize("status", ["CREATE IN_PROGRESS", "ACTIVE", "IN PROGRESS"])
def test_a_resumed_run_adopts_the_job_that_works_or_is_done(cloud, run, status):
    job = cloud.create(run)["job"]
    cloud.personalize.jobs[job["arn"]]["status"] = status
    resumed = cloud.prepare({"resume": run["name"]}, execution="arn:2")["run"]
    result = cloud.create(resumed)
    assert result["outcome"] == "created"
    assert result["job"]["arn"] == job["arn"]
    assert result["job"]["output"] == run["output"]
    assert result["waitSeconds"] == (1 if status == "ACTIVE" else 300)
    assert len(cloud.personalize.jobs) == 1


def test_a_resumed_run_has_a_new_job_if_the_old_one_failed_or_is_not_there(cloud, run):
    resumed = cloud.prepare({"resume": run["name"]}, execution="arn:2")["run"]
    result = cloud.create(resumed)
    assert result["job"]["name"] == resumed["name"]
    again = cloud.prepare({"resume": resumed["name"]}, execution="arn:3")["run"]
    cloud.personalize.jobs[result["job"]["arn"]]["status"] = "CREATE FAILED"
    assert cloud.create(again)["job"]["name"] == again["name"]
    (last,) = (
        job
        for job in cloud.personalize.jobs.values()
        if job["jobName"] == again["name"]
    )
    assert last["jobInput"] == {"s3DataSource": {"path": run["input"]}}
