"""Each grant of a deployed pipeline works, and the neighbouring action is denied."""

import json

import aws_cdk as cdk
import pytest
from aws_cdk import aws_scheduler as scheduler
from botocore.exceptions import ClientError

from cdk_personalize_segments import (
    BatchSegmentPipeline,
    OnOverlap,
    SolutionVersion,
)

pytestmark = pytest.mark.xdist_group("deployments")

DENIED = {"AccessDenied", "AccessDeniedException", "403"}
SEGMENT_JOB = "arn:aws:personalize:us-east-1:123456789012:batch-segment-job/{}"


@pytest.fixture(scope="module")
def version(aws, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "items.csv").write_text("ITEM_ID\n1\n")
    (folder / "interactions.csv").write_text("USER_ID,ITEM_ID\nann,1\n")
    return aws.personalize.seed(folder, name="access")


@pytest.fixture(scope="module")
def pipeline(aws, version, deploy):
    def define(stack):
        pipeline = BatchSegmentPipeline(
            stack,
            "P",
            solution_version=SolutionVersion.latest_of(version.rpartition("/")[0]),
            start_on_upload=True,
        )
        pipeline.add_schedule(
            "Never",
            scheduler.ScheduleExpression.rate(cdk.Duration.days(1)),
            enabled=False,
            on_overlap=OnOverlap.SKIP,
        )
        return {"P": pipeline}

    [pipeline] = deploy("Access", define).values()
    for key in ("queries/a", "input/RUN/a", "input/RUN.plan/a", "elsewhere/a"):
        aws.client("s3").put_object(Bucket=pipeline.input_bucket, Key=key, Body=b"x")
    for key in ("output/RUN/a", "results/RUN/a", "elsewhere/a"):
        aws.client("s3").put_object(Bucket=pipeline.output_bucket, Key=key, Body=b"x")
    return pipeline


@pytest.fixture(scope="module")
def names(list_all, pipeline, version):
    """What the cases below speak of, by the name they use."""
    functions = list_all("lambda", "list_functions")
    [create] = [
        each
        for each in functions
        if "CreateJob" in each["FunctionName"] and "Access" in each["FunctionName"]
    ]
    variables = create["Environment"]["Variables"]
    queues = {
        name: next(each for each in list_all("sqs", "list_queues") if name in each)
        for name in (
            "Access-PUploadQueue",
            "Access-PUploadDeadLetters",
            "Access-PSchedulesDeadLetters",
        )
    }
    return {
        "uploads": queues["Access-PUploadQueue"],
        "dead-letters": queues["Access-PUploadDeadLetters"],
        "failed-starts": queues["Access-PSchedulesDeadLetters"],
        "machine": pipeline.state_machine_arn,
        "other-machine": pipeline.state_machine_arn + "-2",
        "in": pipeline.input_bucket,
        "out": pipeline.output_bucket,
        "own-job": SEGMENT_JOB.format(f"{variables['RUN_PREFIX']}-x"),
        "other-job": SEGMENT_JOB.format("Other-x"),
        "service-role": variables["SERVICE_ROLE_ARN"],
        "version": version,
        "solution": version.rpartition("/")[0],
        "other-version": version.replace("/access/", "/other/"),
        "create-role": create["Role"],
    }


@pytest.fixture
def client_as(aws, list_all, names):
    """Act as one of the pipeline's roles, named by its construct id."""

    def client(role, service):
        [arn] = [
            each["Arn"]
            for each in list_all("iam", "list_roles")
            if f"P{role}" in each["RoleName"] and "Access" in each["RoleName"]
        ]
        return aws.create_client(service, "us-east-1", **aws.sessions.issue(arn))

    return client


def s3(method, bucket, key=None, **more):
    where = {"Prefix": key} if method.startswith("list") else {"Key": key}
    return ("s3", method, {"Bucket": bucket, **where, **more})


def sqs(method, queue, **parameters):
    return ("sqs", method, {"QueueUrl": queue, **parameters})


def start_execution(machine):
    given = {"stateMachineArn": machine, "input": '{"files": []}'}
    return ("stepfunctions", "start_execution", given)


def list_executions(machine):
    return ("stepfunctions", "list_executions", {"stateMachineArn": machine})


def personalize(method, **parameters):
    return ("personalize", method, parameters)


ALLOWED = [
    ("PrepareRole", s3("list_objects_v2", "in", "queries/")),
    ("PrepareRole", s3("list_object_versions", "in", "queries/")),
    ("PrepareRole", s3("get_object", "in", "queries/a")),
    ("PrepareRole", s3("get_object", "in", "input/RUN.plan/a")),
    ("PrepareRole", s3("put_object", "in", "input/RUN/b", Body=b"x")),
    ("PrepareRole", s3("delete_object", "in", "input/RUN/b")),
    ("PrepareRole", s3("put_object", "out", "results/RUN/b", Body=b"x")),
    (
        "PrepareRole",
        personalize("describe_solution_version", solutionVersionArn="version"),
    ),
    ("PrepareRole", personalize("describe_solution", solutionArn="solution")),
    ("PrepareRole", personalize("list_solution_versions", solutionArn="solution")),
    (
        "CreateJobRole",
        personalize("describe_batch_segment_job", batchSegmentJobArn="own-job"),
    ),
    (
        "PollJobRole",
        personalize("describe_batch_segment_job", batchSegmentJobArn="own-job"),
    ),
    ("CollectRole", s3("get_object", "in", "input/RUN.plan/a")),
    ("CollectRole", s3("get_object", "out", "output/RUN/a")),
    ("CollectRole", s3("get_object", "in", "input/RUN/a")),
    ("CollectRole", s3("list_objects_v2", "out", "output/RUN/")),
    ("CollectRole", s3("list_objects_v2", "out", "results/RUN/")),
    ("CollectRole", s3("delete_object", "out", "results/RUN/users/a")),
    ("CollectRole", s3("put_object", "out", "results/RUN/c", Body=b"x")),
    ("FinishRole", s3("get_object", "in", "input/RUN.plan/a")),
    ("FinishRole", s3("get_object", "out", "results/RUN/a")),
    ("FinishRole", s3("put_object", "out", "results/RUN/d", Body=b"x")),
    ("UploadStartRunRole", sqs("receive_message", "uploads")),
    ("UploadStartRunRole", start_execution("machine")),
    ("PrepareRole", list_executions("machine")),
    ("SchedulesRole", start_execution("machine")),
    ("SchedulesRole", sqs("send_message", "failed-starts", MessageBody="x")),
    ("ServiceRole", s3("get_object", "in", "input/RUN/a")),
    ("ServiceRole", s3("list_objects_v2", "in", "input/RUN/")),
    ("ServiceRole", s3("put_object", "out", "output/RUN/b", Body=b"x")),
]
DENIED_CALLS = [
    ("PrepareRole", s3("list_objects_v2", "in", "elsewhere/")),
    ("PrepareRole", s3("list_object_versions", "in", "input/")),
    ("PrepareRole", s3("list_objects_v2", "out", "results/")),
    ("PrepareRole", s3("get_object", "in", "elsewhere/a")),
    ("PrepareRole", s3("put_object", "in", "queries/b", Body=b"x")),
    ("PrepareRole", s3("delete_object", "in", "queries/a")),
    ("PrepareRole", s3("get_object", "out", "results/RUN/a")),
    ("PrepareRole", s3("put_object", "out", "output/RUN/b", Body=b"x")),
    (
        "PrepareRole",
        personalize("describe_solution_version", solutionVersionArn="other-version"),
    ),
    (
        "PrepareRole",
        personalize("describe_batch_segment_job", batchSegmentJobArn="own-job"),
    ),
    (
        "CreateJobRole",
        personalize("describe_batch_segment_job", batchSegmentJobArn="other-job"),
    ),
    ("CreateJobRole", personalize("list_batch_segment_jobs")),
    (
        "CreateJobRole",
        personalize(
            "tag_resource",
            resourceArn="other-job",
            tags=[{"tagKey": "a", "tagValue": "b"}],
        ),
    ),
    ("CreateJobRole", s3("get_object", "in", "input/RUN/a")),
    (
        "PollJobRole",
        personalize("describe_batch_segment_job", batchSegmentJobArn="other-job"),
    ),
    ("PollJobRole", s3("get_object", "out", "output/RUN/a")),
    ("CollectRole", s3("get_object", "in", "queries/a")),
    ("CollectRole", s3("get_object", "out", "results/RUN/a")),
    ("CollectRole", s3("put_object", "out", "output/RUN/b", Body=b"x")),
    ("CollectRole", s3("list_objects_v2", "out", "elsewhere/")),
    ("CollectRole", s3("delete_object", "out", "results/RUN/a")),
    ("CollectRole", s3("delete_object", "out", "output/RUN/a")),
    ("FinishRole", s3("get_object", "out", "output/RUN/a")),
    ("FinishRole", s3("put_object", "in", "input/RUN.plan/b", Body=b"x")),
    ("FinishRole", s3("delete_object", "out", "results/RUN/a")),
    ("UploadStartRunRole", sqs("send_message", "uploads", MessageBody="x")),
    ("UploadStartRunRole", sqs("receive_message", "dead-letters")),
    ("UploadStartRunRole", start_execution("other-machine")),
    ("PrepareRole", list_executions("other-machine")),
    ("PrepareRole", start_execution("machine")),
    ("SchedulesRole", start_execution("other-machine")),
    ("SchedulesRole", list_executions("machine")),
    ("SchedulesRole", sqs("send_message", "dead-letters", MessageBody="x")),
    ("SchedulesRole", sqs("receive_message", "failed-starts")),
    ("UploadStartRunRole", s3("get_object", "in", "queries/a")),
    ("ServiceRole", s3("get_object", "in", "queries/a")),
    ("ServiceRole", s3("put_object", "in", "input/RUN/b", Body=b"x")),
    ("ServiceRole", s3("list_objects_v2", "in", "queries/")),
    ("ServiceRole", s3("get_object", "out", "output/RUN/a")),
    ("ServiceRole", s3("put_object", "out", "results/RUN/b", Body=b"x")),
    ("ServiceRole", s3("delete_object", "out", "output/RUN/a")),
]


@pytest.mark.parametrize(("role", "call"), ALLOWED, ids=str)
def test_what_a_task_needs_is_granted(client_as, names, role, call):
    assert _answer(client_as, names, role, call) not in DENIED


@pytest.mark.parametrize(("role", "call"), DENIED_CALLS, ids=str)
def test_the_neighbouring_action_is_denied(client_as, names, role, call):
    assert _answer(client_as, names, role, call) in DENIED


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({}, True),
        ({"jobName": "Other-x"}, False),
        ({"roleArn": "create-role"}, False),
    ],
    ids=["own job", "another's job", "another role"],
)
def test_only_own_jobs_are_created_with_the_service_role(
    client_as, names, change, allowed
):
    request = {
        "jobName": names["own-job"].rpartition("/")[2],
        "solutionVersionArn": "version",
        "jobInput": {"s3DataSource": {"path": f"s3://{names['in']}/input/RUN/a"}},
        "jobOutput": {"s3DataDestination": {"path": f"s3://{names['out']}/output/"}},
        "roleArn": "service-role",
        **change,
    }
    call = personalize("create_batch_segment_job", **request)
    answer = _answer(client_as, names, "CreateJobRole", call)
    assert (answer not in DENIED) == allowed


def test_the_input_bucket_s_policy_keeps_other_accounts_jobs_out(aws, pipeline):
    policy = aws.client("s3").get_bucket_policy(Bucket=pipeline.input_bucket)
    statements = json.loads(policy["Policy"])["Statement"]
    granted = [each for each in statements if each["Effect"] == "Allow"]
    assert granted
    for statement in granted:
        condition = statement["Condition"]
        assert condition["StringEqualsIfExists"] == {
            "aws:SourceAccount": "123456789012"
        }
        assert condition["ArnLikeIfExists"] == {
            "aws:SourceArn": "arn:aws:personalize:us-east-1:123456789012:*"
        }


def test_no_other_rule_tells_of_uploads(aws, names):
    events, client = aws.client("events"), aws.client("sqs")
    refused = client.create_queue(QueueName="access-refused")["QueueUrl"]
    uploads, letters = (
        client.get_queue_attributes(QueueUrl=each, AttributeNames=["QueueArn"])[
            "Attributes"
        ]["QueueArn"]
        for each in (names["uploads"], refused)
    )
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": letters,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    client.set_queue_attributes(QueueUrl=refused, Attributes={"Policy": policy})
    events.put_rule(Name="access-other", EventPattern='{"source": ["access"]}')
    target = {"Id": "Queue", "Arn": uploads, "DeadLetterConfig": {"Arn": letters}}
    events.put_targets(Rule="access-other", Targets=[target])
    events.put_events(Entries=[{"Source": "access", "DetailType": "x", "Detail": "{}"}])
    aws.clock.settle()
    [message] = client.receive_message(QueueUrl=refused, MessageAttributeNames=["All"])[
        "Messages"
    ]
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"


def _answer(client_as, names, role, call):
    service, method, parameters = call
    filled = {
        name: names.get(value, value) if isinstance(value, str) else value
        for name, value in parameters.items()
    }
    try:
        getattr(client_as(role, service), method)(**filled)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "OK"
