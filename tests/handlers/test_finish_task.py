"""The end of a run: nothing lost, nobody left untold."""

import json
from pathlib import Path
from unittest.mock import ANY

import pytest
from botocore.exceptions import ClientError
from jsonschema import Draft202012Validator

import cdk_personalize_segments
from segment_tasks import failures, objects

SCHEMA = Draft202012Validator(
    json.loads(
        Path(cdk_personalize_segments.__file__)
        .with_name("schemas")
        .joinpath("manifest-1.json")
        .read_text(encoding="utf-8")
    )
)
LOOKED = "2026-01-05T07:00:00Z"
FILTER = "arn:aws:personalize:us-east-1:123456789012:filter/members"
FIVE_MINUTES_LATER = "2026-01-05T07:05:00Z"


@pytest.fixture
def collected(cloud, answer_line):
    """A run whose job is done, with a segment, an empty one and a failed query."""
    run, job = cloud.ready("a", "b", "c")
    cloud.answer(
        answer_line("a", "u1", "u2"), answer_line("b"), answer_line("c", error="no")
    )
    cloud.collect(run, job)
    return run, job


@pytest.fixture
def incomplete(cloud, answer_line):
    """A run of three parts, of which one is whole."""
    run, job = cloud.ready(*map(str, range(1100)))
    cloud.answer(*(answer_line(str(each), "u") for each in range(500)))
    cloud.answer(*(answer_line(str(each), "u") for each in range(500, 999)), part=1)
    for part in (0, 1):
        cloud.collect(run, job, part)
    return run, job


def manifest(cloud, name):
    content = cloud.json(f"results/{name}/manifest.json")
    SCHEMA.validate(content)
    return content


def failed(result, error):
    assert result["outcome"] == "failed", result
    assert result["result"] is None
    assert result["parts"] == []
    assert result["failure"]["error"] == error, result["failure"]
    return result["failure"]["cause"]


def test_a_run_that_succeeded_says_what_came_of_it(cloud, collected):
    run, job = collected
    name = run["name"]
    result = cloud.finish(run, job)
    assert result == {
        "outcome": "succeeded",
        "waitSeconds": 0,
        "parts": [],
        "looking": {"since": None, "rounds": 1, "parts": 1},
        "result": {
            "run": name,
            "jobName": name,
            "jobArn": job["arn"],
            "solutionVersionArn": run["solutionVersionArn"],
            "queries": 3,
            "failedQueries": 1,
            "users": 2,
            "skippedLines": 0,
            "manifest": f"s3://outputs/results/{name}/manifest.json",
            "output": f"s3://outputs/output/{name}/",
            "nothingToDo": None,
        },
        "failure": None,
    }
    written = manifest(cloud, name)
    account = cloud.json(f"results/{name}/parts/part-00000.json")
    assert account.pop("progress") is None
    assert account.pop("etag")
    assert account.pop("used")
    (source,) = written.pop("sources")
    assert (source["key"], source["queries"]) == ("queries/items.json", 3)
    assert written == {
        "schemaVersion": 1,
        "run": name,
        "status": "SUCCEEDED",
        "failure": None,
        "executionArn": "arn:aws:states:us-east-1:123456789012:execution:pipeline:one",
        "startedAt": "2026-01-05T06:00:00.000Z",
        "finishedAt": LOOKED,
        "solutionVersionArn": run["solutionVersionArn"],
        "recipe": "aws-item-affinity",
        "filterArn": None,
        "numResults": 25,
        "job": {
            "name": name,
            "arn": job["arn"],
            "status": "ACTIVE",
            "queuedSince": "2026-01-05T06:00:00.000Z",
            "createdAt": None,
            "updatedAt": None,
            "input": run["input"],
            "output": run["output"],
        },
        "queries": {
            "total": 3,
            "distinct": 3,
            "segments": 1,
            "empty": 1,
            "failed": 1,
            "missing": 0,
        },
        "users": 2,
        "results": {
            "queries": f"s3://outputs/results/{name}/queries/",
            "users": f"s3://outputs/results/{name}/users/",
        },
        "parts": [account],
        "invalidLines": None,
        "cost": ANY,
        "notes": [],
    }


def test_tags_stay_out_of_the_manifest(cloud, answer_line):
    cloud.items("a")
    run = cloud.prepare({"tags": {"team": "confidential"}})["run"]
    job = cloud.create(run)["job"]
    cloud.answer(answer_line("a"))
    cloud.collect(run, job)
    cloud.finish(run, job)
    assert "confidential" not in json.dumps(manifest(cloud, run["name"]))


@pytest.mark.parametrize(("most", "fails"), [(None, False), (1, False), (0, True)])
def test_failed_queries_fail_the_run_only_above_the_limit(
    cloud, collected, most, fails
):
    run, job = collected
    result = cloud.finish(run, job, most=most)
    written = manifest(cloud, run["name"])
    if not fails:
        assert result["outcome"] == "succeeded"
        return
    cause = failed(result, "TooManyFailedQueries")
    assert cause.startswith("1 of 3 queries failed")
    assert cause.endswith(
        f" Manifest: s3://outputs/results/{run['name']}/manifest.json"
    )
    assert written["status"] == "FAILED"
    assert written["failure"]["error"] == "TooManyFailedQueries"
    assert written["results"]


def test_missing_output_is_looked_for_again_for_five_minutes(cloud, incomplete):
    run, job = incomplete
    first = cloud.finish(run, job, now=LOOKED)
    assert first == {
        "outcome": "lookAgain",
        "waitSeconds": 60,
        "parts": [1, 2],
        "looking": {"since": LOOKED, "rounds": 2, "parts": 3},
        "result": None,
        "failure": None,
    }
    assert cloud.keys(f"results/{run['name']}/manifest.json", "outputs") == []
    last = cloud.finish(run, job, now="2026-01-05T07:04:30Z", since=LOOKED)
    assert last["waitSeconds"] == 30
    cause = failed(
        cloud.finish(run, job, now=FIVE_MINUTES_LATER, since=LOOKED), "OutputIncomplete"
    )
    assert "101 of 1,100 queries" in cause
    assert f"s3://outputs/results/{run['name']}/" in cause
    written = manifest(cloud, run["name"])
    assert written["queries"] == {
        "total": 1100,
        "distinct": 1100,
        "segments": 999,
        "empty": 0,
        "failed": 0,
        "missing": 101,
    }
    assert [each["part"] for each in written["parts"]] == [0, 1]


def test_output_that_appears_in_time_completes_the_run(cloud, incomplete, answer_line):
    run, job = incomplete
    cloud.answer(*(answer_line(str(each), "u") for each in range(500, 1000)), part=1)
    cloud.answer(*(answer_line(str(each), "u") for each in range(1000, 1100)), part=2)
    for part in (1, 2):
        cloud.collect(run, job, part)
    result = cloud.finish(run, job, now=FIVE_MINUTES_LATER, since=LOOKED)
    assert result["outcome"] == "succeeded"
    assert result["result"]["users"] == 1100


def test_parts_that_are_not_finished_are_gone_on_with_at_once(
    cloud, answer_line, monkeypatch
):
    run, job = cloud.ready(*map(str, range(501)))
    cloud.answer(*(answer_line(str(each), "u") for each in range(500)))
    monkeypatch.setattr("segment_tasks.collect._RESERVE_SECONDS", 901)
    cloud.collect(run, job)
    result = cloud.finish(run, job, since=None, now=FIVE_MINUTES_LATER)
    assert (result["outcome"], result["waitSeconds"]) == ("lookAgain", 1)
    assert (result["parts"], result["looking"]["since"]) == ([0], None)


def test_many_incomplete_parts_are_looked_at_less_often(cloud, monkeypatch):
    monkeypatch.setattr("segment_tasks.finish._MANY_PARTS", 2)
    run, job = cloud.ready(*map(str, range(1100)))
    result = cloud.finish(run, job)
    assert (result["waitSeconds"], result["parts"]) == (300, [0, 1, 2])


def test_lines_that_answer_nothing_are_noted(cloud, answer_line):
    run, job = cloud.ready("a")
    cloud.answer(answer_line("a"), answer_line("x"), "broken")
    cloud.collect(run, job)
    cloud.finish(run, job)
    (note,) = manifest(cloud, run["name"])["notes"]
    assert note.startswith("2 lines of the raw output cannot be read, or answer no")


def test_a_resumed_run_says_whose_input_and_job_it_used(cloud, answer_line):
    old, _ = cloud.ready("a")
    cloud.answer(answer_line("a", "u"))
    run = cloud.prepare({"resume": old["name"]}, execution="arn:2")["run"]
    adopted = cloud.create(run)["job"]
    cloud.collect(run, adopted)
    result = cloud.finish(run, adopted)
    assert result["result"]["jobName"] == old["name"]
    assert result["result"]["output"] == old["output"]
    written = manifest(cloud, run["name"])
    assert written["sources"][0]["key"] == "queries/items.json"
    assert written["notes"] == [
        f"This run resumes {old['name']}: it uses the input that {old['name']} "
        "prepared.",
        f"The job {old['name']} of an earlier run was adopted.",
    ]


def test_a_failure_of_another_step_is_recorded(cloud):
    cloud.items("a", "b")
    run = cloud.prepare()["run"]
    job = cloud.create(run)["job"]
    given = {"error": "JobFailed", "cause": "It broke."}
    result = cloud.finish(run, job, failure=given)
    location = f"s3://outputs/results/{run['name']}/manifest.json"
    assert failed(result, "JobFailed") == f"It broke. Manifest: {location}"
    written = manifest(cloud, run["name"])
    assert written["status"] == "FAILED"
    assert written["failure"] == given
    assert written["job"]["name"] == run["name"]
    assert written["queries"]["total"] == written["queries"]["missing"] == 2
    assert written["results"] is None


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        ("AccessDenied", None, True),
        ("UnexpectedError", "ACTIVE", True),
        ("UnexpectedError", "CREATE FAILED", False),
        ("JobFailed", None, False),
        ("OutputIncomplete", "ACTIVE", False),
    ],
)
def test_a_job_that_outlives_its_run_can_be_collected(cloud, error, status, told):
    run, job = cloud.ready("a")
    result = cloud.finish(
        run,
        {**job, "status": status},
        failure={"error": error, "cause": "It broke."},
    )
    cause = failed(result, error)
    assert (f'{{"resume": "{run["name"]}"}} to collect its segments.' in cause) == told
    assert manifest(cloud, run["name"])["failure"]["cause"] in cause


def test_the_way_back_is_told_once(cloud):
    run, job = cloud.ready("a")
    own = 'Start an execution with {"resume": "x"}.'
    result = cloud.finish(run, job, failure={"error": "JobTimeout", "cause": own})
    assert failed(result, "JobTimeout").count("resume") == 1


@pytest.mark.parametrize("most", [-1, "1", 1.5, True])
def test_a_bad_bound_of_failed_queries_is_told_and_loses_nothing(
    cloud, collected, most
):
    run, job = collected
    cause = failed(cloud.finish(run, job, most=most), "InvalidInput")
    assert f"max_failed_queries must be a whole number, 0 or more, got {most!r}" in (
        cause
    )
    assert f"s3://outputs/results/{run['name']}/" in cause
    assert manifest(cloud, run["name"])["queries"]["segments"] == 1


def test_segments_matched_by_their_order_are_noted(cloud):
    cloud.personalize.filters[FILTER] = {
        "status": "ACTIVE",
        "datasetGroupArn": "arn:aws:personalize:us-east-1:123456789012:dataset-group"
        "/films",
        "filterExpression": "INCLUDE UserID WHERE Users.COUNTRY IN ($COUNTRY)",
    }
    lines = [
        json.dumps({"itemId": "a", "filterValues": {"COUNTRY": f'"{country}"'}})
        for country in ("Japan", "France")
    ]
    cloud.put("queries/a.json", "\n".join(lines))
    run = cloud.prepare(filterArn=FILTER)["run"]
    job = cloud.create(run)["job"]
    line = {"input": {"itemId": "a"}, "output": {"usersList": ["u"]}, "error": None}
    cloud.answer(line, line)
    cloud.collect(run, job)
    cloud.finish(run, job)
    written = manifest(cloud, run["name"])
    assert written["parts"][0]["byOrder"] == 2
    (note,) = written["notes"]
    assert note.startswith("2 lines of the raw output were matched by their order")


def test_refused_lines_are_counted_in_the_manifest(cloud):
    cloud.put("queries/a.json", '{"x": 1, "y": 2}\nx\n')
    prepared = cloud.prepare()
    cloud.finish(prepared["run"], None, failure=prepared["failure"])
    name = prepared["run"]["name"]
    written = manifest(cloud, name)
    assert written["invalidLines"] == {
        "count": 2,
        "skipped": False,
        "location": f"s3://outputs/results/{name}/invalid-lines.jsonl",
    }
    assert written["job"] is None
    assert written["recipe"] is None
    assert written["queries"]["total"] == 0


def test_a_refusal_without_bad_lines_lists_none(cloud):
    prepared = cloud.prepare()
    cloud.finish(prepared["run"], None, failure=prepared["failure"])
    assert manifest(cloud, prepared["run"]["name"])["invalidLines"] is None


@pytest.mark.parametrize(
    ("caught", "error", "says"),
    [
        (
            {
                "Error": "AccessDenied",
                "Cause": json.dumps({"errorMessage": "Allow it.", "errorType": "x"}),
            },
            "AccessDenied",
            "Allow it. Manifest:",
        ),
        ({"Error": "OutputIncomplete", "Cause": ""}, "OutputIncomplete", "Output"),
        (
            {"Error": "KeyError", "Cause": '{"errorMessage": "\'run\'"}'},
            "UnexpectedError",
            "'Collect segments' ended with an unforeseen error: KeyError: 'run'",
        ),
        (
            {"Error": "States.Timeout", "Cause": ""},
            "UnexpectedError",
            "error: States.Timeout",
        ),
        (
            {"Error": "States.TaskFailed", "Cause": "plain words"},
            "UnexpectedError",
            "States.TaskFailed: plain words",
        ),
        ({"Error": "Other", "Cause": "[1]"}, "UnexpectedError", "Other: [1]"),
        ({}, "UnexpectedError", "no reason given"),
    ],
)
def test_an_error_that_was_caught_becomes_a_sentence(cloud, caught, error, says):
    result = cloud.finish(
        None, None, failure={"state": "Collect segments", "caught": caught}
    )
    assert says in failed(result, error)


def test_a_run_that_failed_before_it_had_a_name_is_named_after_its_execution(cloud):
    cloud.items("a")
    run = cloud.prepare()["run"]
    result = cloud.finish(None, None, failure={"error": "InvalidInput", "cause": "No."})
    failed(result, "InvalidInput")
    assert (
        manifest(cloud, run["name"])["solutionVersionArn"] == run["solutionVersionArn"]
    )


def test_a_cause_fits_into_what_step_functions_takes(cloud):
    result = cloud.finish(
        None, None, failure={"error": "JobFailed", "cause": "x" * 40_000}
    )
    cause = failed(result, "JobFailed")
    assert len(cause) == 32_000
    assert cause.endswith("manifest.json")


def test_the_record_of_what_was_asked_being_gone_does_not_count_as_success(
    cloud, collected
):
    run, job = collected
    cloud.s3.delete_object(Bucket="inputs", Key=f"input/{run['name']}.plan/plan.json")
    assert "is gone" in failed(cloud.finish(run, job), "OutputIncomplete")
    assert manifest(cloud, run["name"])["status"] == "FAILED"


def test_a_failure_is_told_even_if_its_record_may_not_be_written(
    cloud, monkeypatch, caplog
):
    def refuse(*_):
        raise failures.AccessDenied("s3:PutObject was refused.")

    monkeypatch.setattr(objects, "write_json", refuse)
    result = cloud.finish(None, None, failure={"error": "JobFailed", "cause": "Broke."})
    assert failed(result, "JobFailed") == (
        "Broke. The manifest could not be written: s3:PutObject was refused."
    )
    # As the saved queries and the dashboard look for it.
    [line] = [each for each in caplog.records if each.message == "Run failed"]
    assert line.error == "JobFailed"


def test_trouble_while_recording_is_left_to_the_machine(cloud, monkeypatch):
    def break_down(*_):
        raise ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")

    monkeypatch.setattr(objects, "write_json", break_down)
    with pytest.raises(ClientError):
        cloud.finish(None, None, failure={"error": "JobFailed", "cause": "Broke."})
