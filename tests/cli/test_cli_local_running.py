"""`local deploy`, `seed`, `clock` and `reset`, on a local AWS that runs."""

import json
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import boto3
import pytest

ROOT = Path(__file__).parents[2]
CATALOGUE = ROOT / "examples" / "catalogue"
MAIN = "from cdk_personalize_segments.cli import main; main()"
APP = """
import aws_cdk as cdk
from aws_cdk import aws_ssm as ssm

app = cdk.App()
for name in ("One", "Two"):
    stack = cdk.Stack(app, name)
    ssm.StringParameter(stack, "Parameter", string_value="x")
    cdk.CfnOutput(stack, "Said", value=app.node.try_get_context("said") or "nothing")
app.synth()
"""


@pytest.fixture(scope="module")
def endpoint():
    """Start a local AWS in a process of its own, as a user does in a terminal."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "local", "start", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield process.stdout.readline().rpartition("=")[2].strip()
    process.kill()
    process.communicate()


@pytest.fixture
def running(cli, endpoint, monkeypatch):
    """Run a `local` command on it, and give what it prints."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)

    def invoke(*arguments, exit_code=0):
        result = cli("local", *arguments)
        assert result.exit_code == exit_code, result.output
        return result.output if exit_code else result.stdout.strip()

    return invoke


def client(endpoint, service):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


def test_seed_trains_a_solution_and_prints_its_version(running, endpoint):
    arn = running("seed", CATALOGUE, "--name", "seeded")
    genres = running("seed", CATALOGUE, "--recipe", "item-attribute-affinity")
    for version, recipe in ((arn, "aws-item-affinity"), (genres, "attribute-affinity")):
        found = client(endpoint, "personalize").describe_solution_version(
            solutionVersionArn=version
        )["solutionVersion"]
        assert (found["status"], found["recipeArn"].endswith(recipe)) == (
            "ACTIVE",
            True,
        )
    assert ":solution/seeded/" in arn
    newer = running("seed", CATALOGUE, "--name", "seeded")
    assert newer != arn
    assert ":solution/seeded/" in newer
    other = ("--name", "seeded", "--recipe", "item-attribute-affinity")
    assert "seed another name" in running("seed", CATALOGUE, *other, exit_code=1)
    assert "nowhere/items.csv is missing" in running("seed", "nowhere", exit_code=1)


def test_the_clock_is_shown_and_time_passes_when_told(running):
    def at(text):
        return datetime.fromisoformat(text)

    before = at(running("clock"))
    assert at(running("clock")) == before
    after = at(running("clock", "--advance", "1d2h3m4s"))
    assert after == before + timedelta(days=1, hours=2, minutes=3, seconds=4)
    later = (after + timedelta(hours=1)).isoformat()
    assert at(running("clock", "--to", later)) == at(later)
    told = running("clock", "--to", before.isoformat(), exit_code=1)
    assert "never goes back" in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--advance", "soon"), "'soon' is not a time"),
        (("--advance", ""), "'' is not a time"),
        (("--to", "tomorrow"), "'tomorrow' is not a time"),
        (("--advance", "1h", "--to", "2030-01-01"), "cannot go together"),
    ],
)
def test_times_that_are_none_are_refused(running, arguments, says):
    assert says in running("clock", *arguments, exit_code=2)


def test_reset_empties_the_account_at_the_same_place(running, endpoint):
    s3 = client(endpoint, "s3")
    s3.create_bucket(Bucket="kept")
    running("reset")
    assert s3.list_buckets()["Buckets"] == []
    s3.create_bucket(Bucket="kept")
    # All of it works as before.
    answer = client(endpoint, "sts").get_caller_identity()
    assert "x-local-aws-time" in answer["ResponseMetadata"]["HTTPHeaders"]
    assert running("seed", CATALOGUE, "--name", "again")


@pytest.mark.slow
def test_deploy_runs_the_cdk_cli_and_prints_the_outputs(
    running, endpoint, tmp_path, monkeypatch
):
    (tmp_path / "app.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    told = running("deploy", exit_code=1)
    assert f"There is no cdk.json in {tmp_path}" in told
    (tmp_path / "cdk.json").write_text('{"app": "python app.py"}')
    with monkeypatch.context() as without_tools:
        without_tools.setenv("PATH", "")
        assert "the CDK CLI is missing" in running("deploy", exit_code=1)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    assert running("deploy", "Two", "--context", "said=hello") == "Two.Said = hello"
    names = [
        stack["StackName"]
        for stack in client(endpoint, "cloudformation").describe_stacks()["Stacks"]
    ]
    assert sorted(names) == ["CDKToolkit", "Two"]
    assert "is not KEY=VALUE" in running("deploy", "-c", "said", exit_code=2)


def test_where_nothing_listens_is_told(running):
    told = running("clock", "--port", "1", exit_code=1)
    assert "Nothing listens at http://localhost:1; start a local AWS" in told


def test_a_real_endpoint_is_never_asked(running, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.eu-west-1.amazonaws.com")
    told = running("reset", exit_code=1)
    assert "https://s3.eu-west-1.amazonaws.com is none" in told


@pytest.mark.parametrize("answer", [(200, "<html>"), (200, "{}"), (404, "no")])
def test_another_server_is_told(running, answer):
    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(answer[0])
            self.end_headers()
            self.wfile.write(answer[1].encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        told = running("clock", "--port", server.server_port, exit_code=1)
    assert "is not a local AWS of personalize-segments" in told


def test_a_page_in_a_browser_cannot_reset_it(endpoint):
    """A form, or a script without leave, can only send other content types."""
    connection = HTTPConnection(endpoint.removeprefix("http://"))
    connection.request(
        "POST", "/_local/reset", "{}", headers={"Content-Type": "text/plain"}
    )
    answer = connection.getresponse()
    assert answer.status == 400
    assert "application/json" in json.load(answer)["message"]
