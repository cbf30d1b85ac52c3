"""Each failure of a run: its name, its sentence, and that nothing is lost by it."""

import json
import time
from datetime import timedelta

import aws_cdk as cdk
import pytest

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion

pytestmark = pytest.mark.xdist_group("failures")

FOREVER = timedelta(days=30)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "items.csv").write_text("ITEM_ID,GENRES\n1,Comedy\n2,Drama\n3,Comedy\n")
    rows = [f"user-{user},{item},view" for user in range(9) for item in (1, 2, 3)]
    header = "USER_ID,ITEM_ID,EVENT_TYPE"
    (folder / "interactions.csv").write_text("\n".join([header, *rows]))
    return folder


@pytest.fixture(scope="module")
def pipeline(aws, shop, deploy):
    version = aws.personalize.seed(shop, name="small")

    def define(stack):
        return {
            "Segments": BatchSegmentPipeline(
                stack,
                "Segments",
                solution_version=SolutionVersion.from_arn(version),
                queue_timeout=cdk.Duration.hours(6),
                job_timeout=cdk.Duration.hours(4),
                max_failed_queries=1,
                job_tags={"team": "crm"},
            )
        }

    return deploy("Failures", define)["Segments"]


@pytest.fixture(autouse=True)
def usual_behaviour(aws):
    """Undo what a test scripted, and let the jobs that it left end."""
    personalize = aws.personalize
    timing = personalize.timing
    yield
    personalize.timing = timing
    personalize.query_errors.clear()
    personalize.drop_queries.clear()
    personalize.delay_output(timedelta())
    personalize.jobs.clear()


def failed(pipeline, execution, error):
    """Check what every failure has: a status, a name, a manifest that says the same."""
    assert execution.status == "FAILED", execution.output
    assert execution.error == error, execution.cause
    manifest = json.loads(pipeline.read(_manifest_of(execution.cause)))
    assert manifest["status"] == "FAILED"
    assert manifest["failure"]["error"] == error
    return manifest


def _manifest_of(cause):
    [word] = [
        each.strip(".,()'\"") for each in cause.split() if "manifest.json" in each
    ]
    return word


@pytest.mark.parametrize(
    ("execution_input", "words"),
    [
        ({"query": "x"}, ["query", "queries", "numResults"]),
        ({"numResults": 0}, ["numResults", "1 to 5,000,000", "0"]),
        ({"numResults": True}, ["numResults", "whole number"]),
        ({"tags": {"aws:x": "y"}}, ["tags", "reserved"]),
        ({"filterArn": "films"}, ["filterArn", "a filter", "films"]),
        ({"queries": "nowhere"}, ["queries/nowhere", "no"]),
        ({"resume": "no-such-run"}, ["no-such-run", "a run of this pipeline"]),
        ({"resume": "a", "numResults": 5}, ["resume", "numResults"]),
    ],
)
def test_bad_execution_input_is_named(pipeline, execution_input, words):
    execution = pipeline.run(**execution_input)
    failed(pipeline, execution, "InvalidInput")
    for word in words:
        assert word in execution.cause


def test_a_run_whose_input_is_gone_cannot_be_resumed(aws, pipeline):
    pipeline.put("one", [{"itemId": "1"}])
    run = pipeline.run("one").output["run"]
    for key in pipeline.keys(pipeline.input_bucket, f"input/{run}.plan/"):
        aws.client("s3").delete_object(Bucket=pipeline.input_bucket, Key=key)
    execution = pipeline.run(resume=run)
    failed(pipeline, execution, "InvalidInput")
    assert run in execution.cause
    assert "30 days" in execution.cause


def test_a_record_of_what_was_asked_that_is_gone_is_told(aws, pipeline):
    pipeline.put("one", [{"itemId": "1"}])
    run = pipeline.run("one").output["run"]
    key = f"input/{run}.plan/part-00000.jsonl"
    aws.client("s3").delete_object(Bucket=pipeline.input_bucket, Key=key)
    execution = pipeline.run(resume=run)
    failed(pipeline, execution, "OutputIncomplete")
    assert f"s3://{pipeline.input_bucket}/{key}" in execution.cause


def test_bad_lines_are_all_listed_and_no_job_is_started(aws, pipeline):
    pipeline.put("bad", [{"itemId": "1"}, "nonsense", {"itemId": 5}, {"item": "1"}])
    execution = pipeline.run("bad")
    manifest = failed(pipeline, execution, "InvalidInput")
    assert aws.personalize.jobs == {}
    assert "queries/bad/all.jsonl" in execution.cause
    assert "nonsense" not in execution.cause
    assert manifest["invalidLines"]["count"] == 3
    listed = pipeline.read(manifest["invalidLines"]["location"]).splitlines()
    assert [json.loads(line)["line"] for line in listed] == [2, 3, 4]
    run = manifest["run"]
    assert not pipeline.keys(pipeline.input_bucket, f"input/{run}.plan/plan.json")


UNUSABLE = {
    "Recipe": ("aws-user-personalization", "ACTIVE", "aws-user-personalization"),
    "Progress": ("aws-item-affinity", "CREATE IN_PROGRESS", "CREATE IN_PROGRESS"),
    "Failed": ("aws-item-affinity", "CREATE FAILED", "too few users"),
}


@pytest.fixture(scope="module")
def unusable(aws, deploy):
    """A pipeline on each solution version that cannot make segments."""

    def define(stack):
        return {
            key: BatchSegmentPipeline(
                stack,
                key,
                solution_version=SolutionVersion.from_arn(
                    aws.personalize.create_solution_version(
                        f"unusable-{key.lower()}",
                        recipe=recipe,
                        status=status,
                        failure_reason="too few users",
                    )
                ),
            )
            for key, (recipe, status, _) in UNUSABLE.items()
        }

    return deploy("Unusable", define)


@pytest.mark.parametrize("key", UNUSABLE)
def test_a_solution_version_that_cannot_make_segments_is_named(unusable, key):
    pipeline = unusable[key]
    pipeline.put("one", [{"itemId": "1"}])
    execution = pipeline.run("one")
    failed(pipeline, execution, "SolutionVersionNotUsable")
    _, status, words = UNUSABLE[key]
    assert words in execution.cause
    if status != "ACTIVE":
        assert status in execution.cause


def test_a_version_of_another_solution_is_refused(aws, shop, pipeline):
    other = aws.personalize.seed(shop, name="other")
    pipeline.put("one", [{"itemId": "1"}])
    execution = pipeline.run("one", solutionVersionArn=other)
    failed(pipeline, execution, "SolutionVersionNotUsable")
    assert "allow_any_solution" in execution.cause


@pytest.mark.parametrize("case", ["missing", "failed", "foreign"])
def test_a_filter_that_cannot_be_used_is_named(aws, shop, pipeline, case):
    personalize = aws.personalize
    if case == "missing":
        arn = personalize.arn("filter/missing")
    else:
        group = "small"
        if case == "foreign":
            personalize.seed(shop, name="foreign")
            group = "foreign"
        arn = personalize.add_filter(
            f"unusable-{case}",
            'EXCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("click")',
            dataset_group=group,
            status="CREATE FAILED" if case == "failed" else "ACTIVE",
        )
    pipeline.put("one", [{"itemId": "1"}])
    execution = pipeline.run("one", filterArn=arn)
    failed(pipeline, execution, "FilterNotUsable")
    assert arn in execution.cause


def test_a_missing_bucket_policy_is_access_denied_in_the_service_s_words(aws, pipeline):
    s3 = aws.client("s3")
    policy = s3.get_bucket_policy(Bucket=pipeline.input_bucket)["Policy"]
    s3.delete_bucket_policy(Bucket=pipeline.input_bucket)
    pipeline.put("one", [{"itemId": "1"}])
    try:
        execution = pipeline.run("one")
    finally:
        s3.put_bucket_policy(Bucket=pipeline.input_bucket, Policy=policy)
    failed(pipeline, execution, "AccessDenied")
    assert "Insufficient privileges for accessing data in S3" in execution.cause


def test_a_denied_action_is_named_with_its_resource(aws, list_all, pipeline):
    iam = aws.client("iam")
    [role] = [
        each["RoleName"]
        for each in list_all("iam", "list_roles")
        if "CreateJobRole" in each["RoleName"] and "Failures" in each["RoleName"]
    ]
    policy = iam.get_role_policy(RoleName=role, PolicyName="Task")["PolicyDocument"]
    kept = [each for each in policy["Statement"] if each["Sid"] != "PassServiceRole"]
    iam.put_role_policy(
        RoleName=role,
        PolicyName="Task",
        PolicyDocument=json.dumps({**policy, "Statement": kept}),
    )
    pipeline.put("one", [{"itemId": "1"}])
    try:
        execution = pipeline.run("one")
    finally:
        iam.put_role_policy(
            RoleName=role, PolicyName="Task", PolicyDocument=json.dumps(policy)
        )
    failed(pipeline, execution, "AccessDenied")
    assert "iam:PassRole on arn:aws:iam::123456789012:role/" in execution.cause


def test_a_full_quota_is_waited_for(aws, pipeline):
    aws.personalize.occupy(5, for_=HOUR)
    pipeline.put("one", [{"itemId": "1"}])
    execution = pipeline.run("one")
    assert execution.status == "SUCCEEDED", execution.cause
    assert "Wait for a job slot" in _states(execution)


def test_a_quota_that_stays_full_ends_as_queue_timeout(aws, pipeline):
    aws.personalize.occupy(5, for_=FOREVER)
    pipeline.put("one", [{"itemId": "1"}])
    execution = pipeline.run("one")
    failed(pipeline, execution, "QueueTimeout")
    waited = execution.history[-1]["timestamp"] - execution.history[0]["timestamp"]
    assert timedelta(hours=6) <= waited <= timedelta(hours=6, minutes=1)


def test_a_failed_job_ends_with_the_service_s_reason(aws, pipeline):
    aws.personalize.fail_next_job('The data is "odd": don\'t.\nTry again.')
    pipeline.put("one", [{"itemId": "1"}])
    execution = pipeline.run("one")
    failed(pipeline, execution, "JobFailed")
    assert 'The data is "odd": don\'t.\nTry again.' in execution.cause


def test_a_job_that_takes_too_long_can_be_collected_later(aws, pipeline):
    timing = type(aws.personalize.timing)
    aws.personalize.timing = timing(pending=HOUR, working=5 * HOUR)
    pipeline.put("one", [{"itemId": "1"}])
    execution = pipeline.run("one")
    manifest = failed(pipeline, execution, "JobTimeout")
    run = manifest["run"]
    assert f'{{"resume": "{run}"}}' in execution.cause
    later = pipeline.run(resume=run)
    assert later.status == "SUCCEEDED", later.cause
    assert later.output["jobName"] == run != later.output["run"]
    assert pipeline.users(later.output["run"])
    assert len(aws.personalize.jobs) == 1


def test_a_failed_job_is_run_again_from_its_prepared_input(aws, pipeline):
    aws.personalize.fail_next_job("It failed.")
    pipeline.put("again", [{"itemId": "1"}])
    run = failed(pipeline, pipeline.run("again"), "JobFailed")["run"]
    pipeline.put("again", [{"itemId": "2"}, {"itemId": "3"}])
    again = pipeline.run(resume=run)
    assert again.status == "SUCCEEDED", again.cause
    assert again.output["jobName"] == again.output["run"] != run
    [query] = pipeline.queries(again.output["run"])
    assert query["query"] == {"itemId": "1"}


def test_queries_missing_in_the_output_fail_the_run_after_the_rest_is_saved(
    aws, pipeline
):
    aws.personalize.drop_queries.add("2")
    pipeline.put("two", [{"itemId": "1"}, {"itemId": "2"}])
    execution = pipeline.run("two")
    manifest = failed(pipeline, execution, "OutputIncomplete")
    assert manifest["queries"]["missing"] == 1
    first, second = pipeline.queries(manifest["run"])
    assert (first["status"], second["status"]) == ("segment", "missing")
    assert list(pipeline.users(manifest["run"])) == [first["query_id"]]


def test_output_that_appears_late_is_waited_for(aws, pipeline):
    aws.personalize.delay_output(timedelta(minutes=8))
    pipeline.put("one", [{"itemId": "1"}])
    execution = pipeline.run("one")
    assert execution.status == "SUCCEEDED", execution.cause
    assert "Wait for missing output" in _states(execution)


def test_more_failed_queries_than_allowed_fail_the_run_with_results_saved(
    aws, pipeline
):
    aws.personalize.query_errors.update({"1": "User error: a", "2": "User error: b"})
    pipeline.put("three", [{"itemId": each} for each in "123"])
    execution = pipeline.run("three")
    manifest = failed(pipeline, execution, "TooManyFailedQueries")
    assert "2" in execution.cause
    assert manifest["queries"]["failed"] == 2
    assert len(pipeline.users(manifest["run"])) == 1


@pytest.mark.parametrize("effect", ["before", "after"])
@pytest.mark.parametrize(
    "error",
    [
        "ThrottlingException",
        "InternalFailure",
        "ServiceUnavailable",
        "LimitExceededException",
    ],
)
def test_what_passes_does_not_surface_and_never_doubles_a_job(
    aws, pipeline, error, effect
):
    aws.personalize.script("CreateBatchSegmentJob", errors=[error], effect=effect)
    aws.personalize.script("DescribeBatchSegmentJob", errors=[error] * 4)
    pipeline.put("one", [{"itemId": "1"}])
    execution = pipeline.run("one")
    assert execution.status == "SUCCEEDED", execution.cause
    assert len(aws.personalize.jobs) == 1


def test_access_that_is_still_propagating_is_waited_for(aws, pipeline):
    aws.personalize.script(
        "CreateBatchSegmentJob", errors=["AccessDeniedException"] * 2
    )
    pipeline.put("one", [{"itemId": "1"}])
    execution = pipeline.run("one")
    assert execution.status == "SUCCEEDED", execution.cause


@pytest.mark.usefixtures("processes")
def test_a_function_that_cannot_run_ends_as_unexpected_error(aws, list_all, pipeline):
    iam = aws.client("iam")
    [role] = [
        each["RoleName"]
        for each in list_all("iam", "list_roles")
        if "StateMachineRole" in each["RoleName"] and "Failures" in each["RoleName"]
    ]
    policy = iam.get_role_policy(RoleName=role, PolicyName="Tasks")["PolicyDocument"]
    narrowed = json.loads(json.dumps(policy))
    [statement] = narrowed["Statement"]
    [poll] = [
        each["FunctionArn"]
        for each in list_all("lambda", "list_functions")
        if "PollJob" in each["FunctionName"] and "Failures" in each["FunctionName"]
    ]
    statement["Resource"] = [
        each for each in statement["Resource"] if not each.startswith(poll)
    ]
    iam.put_role_policy(
        RoleName=role, PolicyName="Tasks", PolicyDocument=json.dumps(narrowed)
    )
    pipeline.put("one", [{"itemId": "1"}])
    try:
        execution = pipeline.run("one")
    finally:
        iam.put_role_policy(
            RoleName=role, PolicyName="Tasks", PolicyDocument=json.dumps(policy)
        )
    failed(pipeline, execution, "UnexpectedError")
    assert "Look at the job" in execution.cause


def test_an_aborted_run_s_job_is_picked_up_by_resume(aws, pipeline):
    timing = type(aws.personalize.timing)
    aws.personalize.timing = timing(pending=HOUR, working=2 * HOUR)
    pipeline.put("one", [{"itemId": "1"}])
    aws.personalize.occupy(4, for_=FOREVER)
    states = aws.client("stepfunctions")
    with aws.clock.busy():
        # The clock stands still: the run gets to its first wait and no further.
        arn = pipeline.start("one")
        deadline = time.monotonic() + 30
        while not _own_jobs(aws) and time.monotonic() < deadline:
            time.sleep(0.05)
        states.stop_execution(executionArn=arn)
    [job] = _own_jobs(aws)
    resumed = pipeline.run(resume=job.name)
    assert resumed.status == "SUCCEEDED", resumed.cause
    assert resumed.output["jobName"] == job.name
    assert len(_own_jobs(aws)) == 1


def _own_jobs(aws):
    return [
        job for job in aws.personalize.jobs.values() if job.name.startswith("Failures")
    ]


def _states(execution):
    return [
        event["stateEnteredEventDetails"]["name"]
        for event in execution.history
        if event["type"].endswith("StateEntered")
    ]
