"""Runs of deployed pipelines: what goes in comes out, complete and in order."""

import time
from datetime import timedelta

import pytest

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion

pytestmark = pytest.mark.xdist_group("runs")

ITEMS = 1234
COMEDY = {"itemAttributes": 'ITEMS.GENRES = "Comedy"'}
CONTRACT = {
    "run",
    "jobName",
    "jobArn",
    "solutionVersionArn",
    "queries",
    "failedQueries",
    "users",
    "skippedLines",
    "nothingToDo",
    "manifest",
    "output",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop of many items, where who likes what is plain to see.

    User `fan-NN` looked at NN comedies and one drama; `other-NN` at dramas only.
    """
    folder = tmp_path_factory.mktemp("shop")
    genres = ["Comedy", "Drama|Romance"]
    items = [f"{number},{genres[number % 2]}" for number in range(ITEMS)]
    interactions = [
        f"fan-{fan:02d},{2 * number}" for fan in range(1, 21) for number in range(fan)
    ]
    interactions += [f"fan-{fan:02d},1" for fan in range(1, 21)]
    interactions += [
        f"other-{other:02d},{2 * number + 1}"
        for other in range(1, 11)
        for number in range(other)
    ]
    users = [f"fan-{fan:02d},{'gold' if fan > 15 else 'none'}" for fan in range(1, 21)]
    users += [f"other-{other:02d},gold" for other in range(1, 11)]
    (folder / "items.csv").write_text("\n".join(["ITEM_ID,GENRES", *items]))
    (folder / "interactions.csv").write_text(
        "\n".join(["USER_ID,ITEM_ID", *interactions])
    )
    (folder / "users.csv").write_text("\n".join(["USER_ID,MEMBERSHIP", *users]))
    return folder


@pytest.fixture(scope="module")
def pipelines(aws, shop, deploy):
    """Two pipelines in one stack: one of a pinned version, one of the newest."""
    by_item = aws.personalize.seed(shop, name="by-item")
    by_attribute = aws.personalize.seed(
        shop, recipe="aws-item-attribute-affinity", name="by-attribute"
    )

    def define(stack):
        return {
            "Items": BatchSegmentPipeline(
                stack, "Items", solution_version=SolutionVersion.from_arn(by_item)
            ),
            "Attributes": BatchSegmentPipeline(
                stack,
                "Attributes",
                solution_version=SolutionVersion.latest_of(
                    by_attribute.rpartition("/")[0]
                ),
            ),
        }

    return deploy("Shop", define)


@pytest.fixture
def items(pipelines):
    return pipelines["Items"]


@pytest.fixture
def attributes(pipelines):
    return pipelines["Attributes"]


def test_a_segment_for_comedies_lists_those_who_like_them_most(attributes):
    attributes.put("comedy", [COMEDY])
    execution = attributes.run("comedy", numResults=5)
    assert execution.status == "SUCCEEDED", execution.cause
    [query] = attributes.queries(execution.output["run"])
    assert query == {
        "query_id": "q000001",
        "file": "queries/comedy/all.jsonl",
        "line": 1,
        "query": COMEDY,
        "status": "segment",
        "users": 5,
        "error": None,
    }
    [users] = attributes.users(execution.output["run"]).values()
    assert users == ["fan-20", "fan-19", "fan-18", "fan-17", "fan-16"]


@pytest.mark.usefixtures("processes")
def test_the_output_says_what_came_of_the_run_and_where_it_lies(items):
    items.put("one", [{"itemId": "0"}])
    execution = items.run("one")
    output = execution.output
    assert set(output) == CONTRACT
    assert output["run"] == output["jobName"]
    assert output["jobArn"].endswith(f":batch-segment-job/{output['jobName']}")
    assert (output["queries"], output["failedQueries"]) == (1, 0)
    segments = items.users(output["run"])
    assert output["users"] == sum(len(users) for users in segments.values()) > 0
    assert output["manifest"] == (
        f"s3://{items.output_bucket}/results/{output['run']}/manifest.json"
    )
    assert output["output"] == f"s3://{items.output_bucket}/output/{output['run']}/"
    assert items.read(f"{output['output']}part-00000.json.out")


@pytest.mark.emulates("lambda:in-process")
def test_threads_and_processes_give_the_same_results(aws, items):
    items.put("both", [{"itemId": str(number)} for number in range(3)])
    found = []
    for aws.in_process in (False, True):
        run = items.run("both", numResults=7).output["run"]
        found.append((items.queries(run), items.users(run)))
    assert found[0] == found[1]
    assert len(found[0][1]) == 3


def test_the_manifest_tells_the_run_s_whole_story(items):
    items.put("story", [{"itemId": "0"}, {"itemId": "2"}])
    execution = items.run("story", numResults=3)
    manifest = items.manifest(execution.output["run"])
    assert manifest["schemaVersion"] == 1
    assert manifest["status"] == "SUCCEEDED"
    assert manifest["failure"] is None
    assert manifest["executionArn"] == execution.arn
    assert manifest["recipe"] == "aws-item-affinity"
    assert manifest["numResults"] == 3
    assert manifest["job"]["status"] == "ACTIVE"
    assert manifest["queries"] == {
        "total": 2,
        "distinct": 2,
        "segments": 2,
        "empty": 0,
        "failed": 0,
        "missing": 0,
    }
    [source] = manifest["sources"]
    assert source["key"] == "queries/story/all.jsonl"
    assert source["versionId"]
    assert source["queries"] == 2


def test_more_items_than_one_file_may_hold_come_back_as_one_result(items):
    asked = [{"itemId": str(number)} for number in range(ITEMS)]
    items.put("many", asked[:700], "a")
    items.put("many", asked[700:], "b")
    execution = items.run("many")
    assert execution.status == "SUCCEEDED", execution.cause
    run = execution.output["run"]
    parts = items.keys(items.input_bucket, f"input/{run}/")
    assert [part.rpartition("/")[2] for part in parts] == [
        "part-00000.json",
        "part-00001.json",
        "part-00002.json",
    ]
    sizes = [
        len(items.read(f"s3://{items.input_bucket}/{part}").splitlines())
        for part in parts
    ]
    assert sizes == [500, 500, 234]
    queries = items.queries(run)
    assert [query["query"] for query in queries] == asked
    assert [(query["file"][-7:], query["line"]) for query in queries[699:701]] == [
        ("a.jsonl", 700),
        ("b.jsonl", 1),
    ]
    assert {query["status"] for query in queries} <= {"segment", "empty"}
    assert execution.output["queries"] == ITEMS


def test_37_attribute_queries_go_out_ten_a_file(attributes):
    asked = [
        {"itemAttributes": f'ITEMS.GENRES = "{genre}" AND ITEMS.GENRES = "x{number}"'}
        for number in range(18)
        for genre in ("Comedy", "Drama")
    ] + [COMEDY]
    attributes.put("many", asked)
    execution = attributes.run("many")
    assert execution.status == "SUCCEEDED", execution.cause
    run = execution.output["run"]
    parts = attributes.keys(attributes.input_bucket, f"input/{run}/")
    sizes = [
        len(attributes.read(f"s3://{attributes.input_bucket}/{part}").splitlines())
        for part in parts
    ]
    assert sizes == [10, 10, 10, 7]
    queries = attributes.queries(run)
    assert [query["query"] for query in queries] == asked
    assert queries[-1]["status"] == "segment"


def test_a_filter_s_placeholders_are_filled_from_each_line(aws, attributes):
    arn = aws.personalize.add_filter(
        "members",
        "INCLUDE UserID WHERE Users.MEMBERSHIP IN ($LEVEL)",
        dataset_group="by-attribute",
    )
    asked = [
        {**COMEDY, "filterValues": {"LEVEL": f'"{level}"'}}
        for level in ("gold", "none")
    ]
    attributes.put("members", asked)
    execution = attributes.run("members", filterArn=arn, numResults=2)
    assert execution.status == "SUCCEEDED", execution.cause
    gold, none = attributes.users(execution.output["run"]).values()
    assert gold == ["fan-20", "fan-19"]
    assert none == ["fan-15", "fan-14"]


def test_retraining_needs_no_deployment(aws, attributes):
    solution = aws.personalize.arn("solution/by-attribute")
    attributes.put("comedy", [COMEDY])
    first = attributes.run("comedy").output["solutionVersionArn"]
    newer = aws.personalize.retrain(solution)
    assert attributes.run("comedy").output["solutionVersionArn"] == newer != first
    aws.personalize.retrain(solution, status="CREATE IN_PROGRESS")
    assert attributes.run("comedy").output["solutionVersionArn"] == newer


def test_a_57_minute_job_takes_45_transitions_and_is_noticed_in_time(aws, items):
    aws.personalize.timing = type(aws.personalize.timing)(
        pending=timedelta(minutes=2), working=timedelta(minutes=55)
    )
    items.put("hour", [{"itemId": "0"}])
    execution = items.run("hour")
    entered = [
        event for event in execution.history if event["type"].endswith("StateEntered")
    ]
    polls = [
        event
        for event in entered
        if event["stateEnteredEventDetails"]["name"] == "Look at the job"
    ]
    assert len(polls) == 12
    assert len(entered) - 3 * len(polls) <= 11
    job = aws.client("personalize").describe_batch_segment_job(
        batchSegmentJobArn=execution.output["jobArn"]
    )["batchSegmentJob"]
    noticed = polls[-1]["timestamp"] - job["lastUpdatedDateTime"]
    assert timedelta() <= noticed <= timedelta(minutes=5)


def test_a_run_without_input_takes_all_query_files(pipelines, aws, deploy, shop):
    arn = aws.personalize.arn("solution/by-item")
    [pipeline] = deploy(
        "Whole",
        lambda stack: {
            "P": BatchSegmentPipeline(
                stack, "P", solution_version=SolutionVersion.latest_of(arn)
            )
        },
    ).values()
    pipeline.put("a", [{"itemId": "0"}])
    pipeline.put("b/deep", [{"itemId": "2"}])
    assert pipeline.run().output["queries"] == 2


def test_files_beside_a_folder_of_a_like_name_stay_out(items):
    items.put("spring", [{"itemId": "0"}])
    items.put("spring-2", [{"itemId": "2"}, {"itemId": "4"}])
    assert items.run("spring").output["queries"] == 1


def test_documented_output_is_read_as_well_as_observed_output(aws, attributes):
    attributes.put("comedy", [COMEDY])
    observed = attributes.run("comedy").output["run"]
    aws.personalize.shape = "documented"
    try:
        documented = attributes.run("comedy").output["run"]
    finally:
        aws.personalize.shape = "observed"
    assert attributes.users(documented) == attributes.users(observed) != {}


@pytest.mark.usefixtures("processes")
def test_errors_of_single_queries_are_reported_beside_the_others(aws, items):
    aws.personalize.query_errors["2"] = "User error: no such thing"
    items.put("errors", [{"itemId": "0"}, {"itemId": "2"}])
    try:
        execution = items.run("errors")
    finally:
        aws.personalize.query_errors.clear()
    assert execution.status == "SUCCEEDED", execution.cause
    assert execution.output["failedQueries"] == 1
    good, bad = items.queries(execution.output["run"])
    assert (good["status"], good["error"]) == ("segment", None)
    assert (bad["status"], bad["error"]) == ("failed", "User error: no such thing")


def logged(aws, list_all):
    """Read what is in each log group."""
    logs = aws.client("logs")
    groups = [each["logGroupName"] for each in list_all("logs", "describe_log_groups")]
    return {
        group: "\n".join(
            event["message"]
            for page in logs.get_paginator("filter_log_events").paginate(
                logGroupName=group
            )
            for event in page["events"]
        )
        for group in groups
    }


@pytest.mark.usefixtures("processes")
def test_no_query_and_no_user_is_in_any_log(aws, list_all, items):
    items.put("logs", [{"itemId": "0"}, {"itemId": "distinctive-item"}, {"itemId": 7}])
    assert items.run("logs").error == "InvalidInput"
    items.put("logs", [{"itemId": "0"}, {"itemId": "distinctive-item"}])
    execution = items.run("logs")
    run = execution.output["run"]
    give_up = time.monotonic() + 20
    while True:
        text = logged(aws, list_all)
        if any(run in each and "FunctionLogs" in group for group, each in text.items()):
            break
        assert time.monotonic() < give_up, "the functions logged nothing of the run"
        time.sleep(0.2)
    assert any(execution.arn in each for each in text.values())
    for group, each in text.items():
        assert "distinctive-item" not in each, group
        assert "fan-" not in each, group
