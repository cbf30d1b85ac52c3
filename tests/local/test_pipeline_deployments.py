"""Deployments over the life of a pipeline: beside others, changed, undone, again."""

import shutil
import time

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion, _assets
from cdk_personalize_segments.local.errors import LocalAwsError

pytestmark = pytest.mark.xdist_group("deployments")


@pytest.fixture(scope="module")
def version(aws, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "items.csv").write_text("ITEM_ID,GENRES\n1,Comedy\n2,Drama\n")
    rows = [f"user-{user},{item}" for user in range(5) for item in (1, 2)]
    (folder / "interactions.csv").write_text("\n".join(["USER_ID,ITEM_ID", *rows]))
    return aws.personalize.seed(folder, name="deployed")


@pytest.fixture
def define(version):
    def one(stack):
        return {
            "P": BatchSegmentPipeline(
                stack, "P", solution_version=SolutionVersion.from_arn(version)
            )
        }

    return one


@pytest.fixture
def changed_handlers(tmp_path, monkeypatch):
    """Handlers of which one differs: looking at a job fails in the new code."""

    def change():
        folder = tmp_path / "lambda"
        shutil.copytree(
            _assets.source_root(),
            folder,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        handler = folder / "segment_tasks" / "poll_job.py"
        handler.write_text("def handler(event, context):\n    raise KeyError('new')\n")
        monkeypatch.setattr(_assets, "source_root", lambda: folder)

    return change


def test_a_run_finishes_on_the_code_that_it_started_with(
    aws, deploy, define, changed_handlers, monkeypatch
):
    [pipeline] = deploy("Changing", define).values()
    pipeline.put("one", [{"itemId": "1"}])
    states = aws.client("stepfunctions")
    with aws.clock.busy():
        # The clock stands still: the run waits for its job meanwhile.
        running = pipeline.start("one")
        _until(lambda: _entered(states, running, "Wait for the job"))
        changed_handlers()
        deploy("Changing", define)
    _until(
        lambda: states.describe_execution(executionArn=running)["status"] != "RUNNING"
    )
    assert states.describe_execution(executionArn=running)["status"] == "SUCCEEDED"

    new = pipeline.run("one")
    assert new.error == "UnexpectedError"
    assert "'new'" in new.cause

    monkeypatch.undo()
    deploy("Changing", define)
    back = pipeline.run("one")
    assert back.status == "SUCCEEDED", back.cause


@pytest.mark.slow
def test_a_deployment_that_fails_does_not_stand_in_the_way_of_the_next(
    aws, deploy, define, changed_handlers
):
    aws.client("s3").create_bucket(Bucket="taken")

    def define_with_a_taken_name(stack):
        pipelines = define(stack)
        bucket = s3.Bucket(stack, "Taken", bucket_name="taken")
        bucket.node.add_dependency(pipelines["P"])
        return pipelines

    [pipeline] = deploy("Failing", define).values()
    changed_handlers()
    with pytest.raises(LocalAwsError, match="taken"):
        deploy("Failing", define_with_a_taken_name)
    pipeline.put("one", [{"itemId": "1"}])
    assert pipeline.run("one").status == "SUCCEEDED"

    deploy("Failing", define)
    assert pipeline.run("one").error == "UnexpectedError"


@pytest.mark.slow
def test_functions_follow_a_bucket_that_is_replaced(aws, deploy, version):
    def define_into(name):
        return lambda stack: {
            "P": BatchSegmentPipeline(
                stack,
                "P",
                solution_version=SolutionVersion.from_arn(version),
                output_bucket=s3.Bucket(stack, "Lake", bucket_name=name),
            )
        }

    for name in ("lake-one", "lake-two"):
        [pipeline] = deploy("Replaced", define_into(name)).values()
        pipeline.put("one", [{"itemId": "1"}])
        execution = pipeline.run("one")
        assert execution.status == "SUCCEEDED", execution.cause
        assert execution.output["manifest"].startswith(f"s3://{name}/")


@pytest.mark.slow
def test_two_stacks_of_one_app_do_not_meet(aws, synth, version):
    def build(app):
        for name in ("Left", "Right"):
            stack = cdk.Stack(app, name)
            pipeline = BatchSegmentPipeline(
                stack, "P", solution_version=SolutionVersion.from_arn(version)
            )
            cdk.CfnOutput(
                stack, "Machine", value=pipeline.state_machine.state_machine_arn
            )
            cdk.CfnOutput(stack, "Input", value=pipeline.input_bucket.bucket_name)

    outputs = aws.deploy(app=str(synth(build)))
    machines = [outputs[name]["Machine"] for name in ("Left", "Right")]
    assert len(set(machines)) == 2
    left = outputs["Left"]["Input"]
    body = b'{"itemId": "1"}\n'
    aws.client("s3").put_object(Bucket=left, Key="queries/a.jsonl", Body=body)
    first, second = [aws.run(machine) for machine in machines]
    assert first.status == "SUCCEEDED", first.cause
    assert (second.status, second.error) == ("FAILED", "InvalidInput")


@pytest.mark.slow
def test_a_destroyed_pipeline_leaves_its_data_and_can_be_deployed_again(
    aws, list_all, synth, deploy, define
):
    [before] = deploy("Again", define).values()
    before.put("one", [{"itemId": "1"}])
    run = before.run("one").output["run"]
    aws.destroy("Again", app=str(synth(lambda app: define(cdk.Stack(app, "Again")))))
    machines = list_all("stepfunctions", "list_state_machines")
    assert before.state_machine_arn not in [
        each["stateMachineArn"] for each in machines
    ]
    assert before.manifest(run)["status"] == "SUCCEEDED"

    [after] = deploy("Again", define).values()
    assert after.input_bucket != before.input_bucket
    after.put("one", [{"itemId": "2"}])
    assert after.run("one").status == "SUCCEEDED"


def _entered(states, execution, state):
    history = states.get_execution_history(executionArn=execution, maxResults=1000)
    return any(
        event.get("stateEnteredEventDetails", {}).get("name") == state
        for event in history["events"]
    )


def _until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
