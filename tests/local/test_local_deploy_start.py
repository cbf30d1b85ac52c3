"""Starting and stopping a local AWS."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cdk_personalize_segments.local import LocalAws


def run(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process without an account."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            f"from cdk_personalize_segments.local import *\n{script}",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "AWS_ACCESS_KEY_ID": "AKIAREAL"},
    )


@pytest.mark.slow
def test_state_is_gone_at_the_end() -> None:
    ended = run(
        """
for _ in range(2):
    with LocalAws() as aws:
        s3 = aws.client("s3")
        assert s3.list_buckets()["Buckets"] == []
        assert aws.client("cloudformation").describe_stacks()["Stacks"] == []
        s3.create_bucket(Bucket="data")
        aws.client("cloudformation").create_stack(
            StackName="one",
            TemplateBody='{"Resources": {"B": {"Type": "AWS::S3::Bucket"}}}',
        )
        assert len(s3.list_buckets()["Buckets"]) == 2
"""
    )
    assert ended.returncode == 0, ended.stderr


def test_reset_empties_the_account_and_keeps_its_settings() -> None:
    ended = run(
        """
from datetime import UTC, datetime
begins = datetime(2030, 1, 1, tzinfo=UTC)
with LocalAws(begins=begins, seed=7) as aws:
    place, s3, drawn = aws.endpoint_url, aws.client("s3"), aws.chance("x").random()
    s3.create_bucket(Bucket="data")
    aws.client("cloudformation").create_stack(
        StackName="one",
        TemplateBody='{"Resources": {"B": {"Type": "AWS::S3::Bucket"}}}',
    )
    aws.clock.sleep(3600)
    aws.reset()
    assert aws.endpoint_url == place
    assert s3.list_buckets()["Buckets"] == []
    assert aws.client("cloudformation").describe_stacks()["Stacks"] == []
    assert aws.clock.now() == begins
    assert aws.chance("x").random() == drawn
try:
    aws.reset()
except LocalAwsError as error:
    print(error)
"""
    )
    assert ended.stdout == "this local AWS is not running; start it first\n", (
        ended.stderr
    )


def test_one_at_a_time_and_errors_say_so() -> None:
    ended = run(
        """
aws = LocalAws()
for act in (lambda: aws.endpoint_url, lambda: aws.start() and LocalAws().start()):
    try:
        act()
    except LocalAwsError as error:
        print(error)
aws.stop()
aws.stop()
"""
    )
    assert ended.stdout.splitlines() == [
        "this local AWS is not running; start it first",
        "a local AWS already runs in this process, and moto's state belongs to the "
        "process; stop it, or share it",
    ], ended.stderr


def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = run(
            f"""
try:
    LocalAws(port={port}).start()
except LocalAwsError as error:
    print(error)
LocalAws().start().stop()
"""
        )
    assert f"cannot listen on port {port}" in ended.stdout, ended.stderr
    assert ended.returncode == 0, ended.stderr


def test_processes_are_pointed_here_and_nowhere_else(local_aws: LocalAws) -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "import boto3; c = boto3.client('sts');"
            "print(c.meta.endpoint_url, c.get_caller_identity()['Account'])",
        ],
        capture_output=True,
        text=True,
        check=False,
        env=local_aws.process_environment,
    )
    assert ended.stdout.split() == [local_aws.endpoint_url, "123456789012"], (
        ended.stderr
    )


def test_the_environment_hides_the_developers_own_account(
    local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "real")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    environment = local_aws.process_environment
    assert "real" not in environment.values()
    assert environment["AWS_ACCESS_KEY_ID"] == "local"
    assert local_aws.endpoint_url.startswith("http://localhost:")


def test_clients_ignore_the_developers_settings(
    local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = tmp_path / "config"
    settings.write_text("[profile mine]\nendpoint_url = http://127.0.0.1:9\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(settings))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    client = local_aws.create_client("sts", "us-east-1")
    assert client.meta.endpoint_url == local_aws.endpoint_url
    assert client.get_caller_identity()["Account"] == local_aws.account_id


@pytest.mark.slow
def test_the_fixture_is_there_for_users_and_costs_nothing_unused(
    tmp_path: Path,
) -> None:
    (tmp_path / "test_theirs.py").write_text(
        """
import sys

def test_unused():
    loaded = {"moto", "aws_cdk", "boto3", "botocore"} & sys.modules.keys()
    assert not loaded

def test_used(local_aws):
    local_aws.client("s3").create_bucket(Bucket="data")
    assert "moto" in sys.modules

def test_shared(local_aws):
    assert local_aws.client("s3").list_buckets()["Buckets"]
"""
    )
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert "3 passed" in ended.stdout, ended.stdout + ended.stderr
