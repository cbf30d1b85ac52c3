"""Apps deployed into the local AWS by the real CDK CLI."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_ssm as ssm
from aws_cdk import aws_stepfunctions as sfn
from botocore.exceptions import ClientError

from cdk_personalize_segments.local import LocalAws, LocalAwsError

Synth = Callable[..., Path]


class Everything(cdk.Stack):
    """A stack with every kind of resource that a pipeline has, by plain constructs."""

    def __init__(self, scope: cdk.App, name: str, *, code: int = 1) -> None:
        super().__init__(scope, name)
        bucket = s3.Bucket(
            self,
            "Data",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            versioned=True,
        )
        group = logs.LogGroup(
            self,
            "Logs",
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        function = lambda_.Function(
            self,
            "Task",
            code=lambda_.Code.from_inline(f"def handler(e, c):\n  return {code}\n"),
            handler="index.handler",
            runtime=lambda_.Runtime.PYTHON_3_14,
            current_version_options=lambda_.VersionOptions(
                removal_policy=cdk.RemovalPolicy.RETAIN
            ),
            log_group=group,
        )
        bucket.grant_read(function)
        machine = sfn.StateMachine(
            self,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(
                sfn.Succeed.jsonata(self, "Done")
            ),
            query_language=sfn.QueryLanguage.JSONATA,
            logs=sfn.LogOptions(destination=group, level=sfn.LogLevel.ALL),
            tracing_enabled=True,
        )
        machine.grant_start_execution(
            iam.Role(self, "Caller", assumed_by=iam.AccountRootPrincipal())
        )
        for key, value in (
            ("Bucket", bucket.bucket_name),
            ("Function", function.function_name),
            ("Version", function.current_version.function_arn),
            ("Machine", machine.state_machine_arn),
        ):
            cdk.CfnOutput(self, key + "Out", value=value)


def status(aws: LocalAws, stack: str) -> str:
    found = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return str(found[0]["StackStatus"])


def test_a_stack_lives_from_deploy_to_destroy(
    local_aws: LocalAws, synth: Synth
) -> None:
    assembly = str(synth(lambda app: Everything(app, "Life")))
    outputs = local_aws.deploy("Life", app=assembly)["Life"]
    assert status(local_aws, "Life") == "CREATE_COMPLETE"
    function, bucket = outputs["FunctionOut"], outputs["BucketOut"]
    assert outputs["VersionOut"].endswith(f":function:{function}:1")
    machine = local_aws.client("stepfunctions").describe_state_machine(
        stateMachineArn=outputs["MachineOut"]
    )
    assert machine["tracingConfiguration"] == {"enabled": True}
    policy = local_aws.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]
    assert "aws:SecureTransport" in policy

    assert local_aws.deploy("Life", app=assembly)["Life"] == outputs
    assert status(local_aws, "Life") == "CREATE_COMPLETE"

    changed = str(synth(lambda app: Everything(app, "Life", code=2)))
    again = local_aws.deploy("Life", app=changed)["Life"]
    assert again == {**outputs, "VersionOut": outputs["VersionOut"][:-1] + "2"}
    client = local_aws.client("lambda")
    client.get_function(FunctionName=function, Qualifier="1")

    # Back to the code before, as a rollback in production would.
    back = local_aws.deploy("Life", app=assembly)["Life"]
    assert back == {**outputs, "VersionOut": outputs["VersionOut"][:-1] + "3"}

    local_aws.destroy("Life", app=assembly)
    with pytest.raises(ClientError, match="does not exist"):
        status(local_aws, "Life")
    local_aws.client("s3").head_bucket(Bucket=bucket)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_function(FunctionName=function)

    fresh = local_aws.deploy("Life", app=assembly)["Life"]
    assert fresh["BucketOut"] != bucket


def test_what_is_not_honoured_fails_the_deployment_by_name(
    local_aws: LocalAws, synth: Synth
) -> None:
    def define(app: cdk.App) -> None:
        stack = cdk.Stack(app, "Refused")
        key = dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING)
        dynamodb.TableV2(stack, "Table", partition_key=key)
        s3.Bucket(stack, "Data", transfer_acceleration=True)

    with pytest.raises(LocalAwsError) as error:
        local_aws.deploy(app=str(synth(define)))
    said = str(error.value)
    assert (
        "local AWS does not honour resources of type AWS::DynamoDB::GlobalTable" in said
    )
    assert "does not honour AccelerateConfiguration of AWS::S3::Bucket" in said
    assert status(local_aws, "Refused") == "ROLLBACK_COMPLETE"

    # The name is free for the next try, as with AWS.
    outputs = local_aws.deploy(app=str(synth(lambda app: Everything(app, "Refused"))))
    assert outputs["Refused"]["BucketOut"].startswith("refused-")
    assert status(local_aws, "Refused") == "CREATE_COMPLETE"


@pytest.mark.slow
def test_stacks_that_refer_to_each_other(local_aws: LocalAws, synth: Synth) -> None:
    def define(app: cdk.App) -> None:
        data, reader = cdk.Stack(app, "ShareData"), cdk.Stack(app, "ShareReader")
        bucket = s3.Bucket(data, "Data", removal_policy=cdk.RemovalPolicy.DESTROY)
        held = ssm.StringParameter(reader, "Held", string_value=bucket.bucket_arn)
        cdk.CfnOutput(data, "Arn", value=bucket.bucket_arn)
        cdk.CfnOutput(reader, "Name", value=held.parameter_name)

    assembly = str(synth(define))
    outputs = local_aws.deploy(app=assembly)
    held = local_aws.client("ssm").get_parameter(Name=outputs["ShareReader"]["Name"])[
        "Parameter"
    ]["Value"]
    assert held == outputs["ShareData"]["Arn"]
    local_aws.destroy(app=assembly)
    for name in ("ShareData", "ShareReader"):
        with pytest.raises(ClientError, match="does not exist"):
            status(local_aws, name)


@pytest.mark.slow
def test_an_app_is_synthesised_in_its_own_folder_with_context(
    local_aws: LocalAws, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(
        """
import aws_cdk as cdk
from aws_cdk import aws_ssm as ssm

app = cdk.App()
stack = cdk.Stack(app, "Greeting")
ssm.StringParameter(stack, "Parameter", string_value="x")
cdk.CfnOutput(stack, "Said", value=app.node.get_context("said"))
app.synth()
"""
    )
    outputs = local_aws.deploy(
        app="python app.py", cwd=tmp_path, context={"said": "hello"}
    )
    assert outputs == {"Greeting": {"Said": "hello"}}


def test_a_missing_cli_is_named(
    local_aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        LocalAwsError, match=r"CDK CLI is missing.*npm install aws-cdk@2"
    ):
        local_aws.deploy(app="cdk.out")


def test_what_the_cli_said_is_passed_on(local_aws: LocalAws, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise SystemExit('no such film')")
    with pytest.raises(LocalAwsError, match=r"(?s)cdk deploy.*failed.*no such film"):
        local_aws.deploy(app="python app.py", cwd=tmp_path)


def test_the_aws_cli_way_of_using_it(local_aws: LocalAws, tmp_path: Path) -> None:
    """Any process works with the environment alone."""
    script = (
        "import boto3; s3 = boto3.client('s3'); s3.create_bucket(Bucket='by-env');"
        "print(s3.list_buckets()['Buckets'] != [])"
    )
    ended: Any = subprocess.run(
        ["python", "-c", script],
        env=local_aws.process_environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert ended.stdout.strip() == "True"


@pytest.mark.slow
def test_each_deployment_sees_the_environment_as_it_is_then(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text(
        "import os\n"
        "import aws_cdk as cdk\n"
        "from aws_cdk import aws_ssm as ssm\n"
        "app = cdk.App()\n"
        "stack = cdk.Stack(app, 'Env')\n"
        "ssm.StringParameter(stack, 'Parameter', string_value='some')\n"
        "cdk.CfnOutput(stack, 'Said', value=os.environ['EXTRA'])\n"
        "app.synth()\n"
    )
    (tmp_path / "cdk.json").write_text('{"app": "python app.py"}')
    for extra in ("one", "two"):
        monkeypatch.setenv("EXTRA", extra)
        assert aws.deploy("Env", cwd=tmp_path)["Env"] == {"Said": extra}


def test_a_state_machine_that_is_not_there_is_told_as_such(aws: LocalAws) -> None:
    arn = "arn:aws:states:us-east-1:123456789012:stateMachine:none"
    with pytest.raises(LocalAwsError, match=f"{arn} cannot be started"):
        aws.run(arn)
