"""What users read when an account, the network or Docker would have been needed."""

import os
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.local import LocalAws, LocalAwsError
from cdk_personalize_segments.local.cdk_failures import explain

ROOT = Path(__file__).parents[2]
HEAD = """
import os
import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2, aws_lambda as lambda_, aws_route53 as route53
from aws_cdk import aws_s3 as s3, aws_ssm as ssm

here = cdk.Environment(
    account=os.environ["CDK_DEFAULT_ACCOUNT"], region=os.environ["CDK_DEFAULT_REGION"]
)
app = cdk.App()
"""
STACK = 'stack = cdk.Stack(app, "Needy", env=here)\n'
NOT_FOUND = "SSM parameter /cdk-bootstrap/hnb659fds/version not found in aws://"


def told(output: str) -> list[str]:
    return explain(output, "123456789012", "us-east-1")


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (
            f"S: {NOT_FOUND}111122223333/us-east-1. Has",
            "A stack is for account 111122223333, and local AWS is 123456789012: leave",
        ),
        (
            f"S: {NOT_FOUND}123456789012/eu-west-1. Has",
            "A stack is for Region eu-west-1, and local AWS is us-east-1: start it",
        ),
        (
            "ERROR local AWS does not honour this request: ec2 is not emulated; there "
            "are s3 (Construct Annotations)",
            "A context look-up needs ec2, which local AWS does not have",
        ),
        (
            "S: fail: local AWS does not honour this request: DescribeImages of ecr is "
            "not emulated; docs",
            "Local AWS does not run container images",
        ),
        ("CommandExecutionFailed: docker exited with status 125", "Docker is needed"),
        ("Error: spawnSync docker ENOENT", "Docker is needed"),
    ],
)
def test_what_would_have_been_needed_is_said_first(output: str, says: str) -> None:
    assert told(output)[0].startswith(says)


def test_other_failures_are_left_as_they_are() -> None:
    assert told("error: no such module\n") == []
    assert told(f"{NOT_FOUND}123456789012/us-east-1") == []
    refusal = "S | local AWS does not honour resources of type AWS::X::Y"
    assert told(f"{refusal}\n{refusal}") == [refusal]
    refusal = "S | local AWS runs functions from zips in Python only, not nodejs22.x"
    assert told(f"S | failed\n{refusal}\nS | rolled back") == [refusal]


def test_services_that_speak_xml_are_refused_in_xml(aws: LocalAws) -> None:
    with pytest.raises(ClientError, match="route53 is not emulated"):
        aws.client("route53").list_hosted_zones()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("define", "says"),
    [
        (
            STACK + "lambda_.DockerImageFunction(stack, 'Function', "
            "code=lambda_.DockerImageCode.from_image_asset('image'))",
            "Local AWS does not run container images",
        ),
        (
            STACK + "runtime = lambda_.Runtime.PYTHON_3_14\n"
            "lambda_.Function(stack, 'Function', runtime=runtime, handler='a.b', "
            "code=lambda_.Code.from_asset('image', bundling=cdk.BundlingOptions("
            "image=runtime.bundling_image, command=['true'])))",
            "Docker is needed to bundle an asset",
        ),
        (
            STACK + "lambda_.Function(stack, 'Function', handler='a.b', "
            "runtime=lambda_.Runtime.NODEJS_24_X, "
            "code=lambda_.Code.from_inline('exports.b = 1'))",
            "local AWS runs functions from zips in Python only, not nodejs24.x",
        ),
        (
            STACK + "ec2.Vpc.from_lookup(stack, 'Vpc', is_default=True)",
            "A context look-up needs ec2",
        ),
        (
            STACK + "route53.HostedZone.from_lookup(stack, 'Zone', domain_name='a.b')",
            "A context look-up needs route53",
        ),
        (
            "s3.Bucket(cdk.Stack(app, 'Needy', "
            "env=cdk.Environment(account='111122223333', region='us-east-1')), 'B')",
            "A stack is for account 111122223333",
        ),
        (
            "s3.Bucket(cdk.Stack(app, 'Needy', "
            "env=cdk.Environment(region='eu-west-1')), 'B')",
            "A stack is for Region eu-west-1",
        ),
    ],
)
def test_a_deployment_that_needs_more_says_what(
    aws: LocalAws, app: Path, define: str, says: str
) -> None:
    # No Docker that happens to be here shall help.
    docker = app / "docker"
    docker.write_text("#!/bin/sh\nexit 125\n")
    docker.chmod(0o755)
    (app / "app.py").write_text(f"{HEAD}{define}\napp.synth()\n")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", f"{app}{os.pathsep}{os.environ['PATH']}")
        with pytest.raises(LocalAwsError) as failed:
            aws.deploy(app="python app.py", cwd=app)
    assert says in str(failed.value)


@pytest.mark.slow
def test_a_parameter_is_looked_up(aws: LocalAws, app: Path) -> None:
    aws.client("ssm").put_parameter(Name="/looked-up", Value="found", Type="String")
    (app / "app.py").write_text(
        f"{HEAD}{STACK}s3.Bucket(stack, 'Bucket')\n"
        "value = ssm.StringParameter.value_from_lookup(stack, '/looked-up')\n"
        "cdk.CfnOutput(stack, 'Value', value=value)\napp.synth()\n"
    )
    outputs = aws.deploy(app="python app.py", cwd=app)
    assert outputs == {"Needy": {"Value": "found"}}
