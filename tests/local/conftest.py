"""Pipelines deployed into the local AWS, and handles on them.

Most are deployed without the CDK CLI, whose processes would take most of the time of
these tests; test_local_deploy.py and others use it.
"""

import csv
import gzip
import io
import itertools
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from jsonschema import Draft202012Validator

from cdk_personalize_segments import BatchSegmentPipeline
from cdk_personalize_segments.local import LocalAws

ROOT = Path(__file__).parents[2]
CONTEXT: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
MANIFEST_SCHEMA = Draft202012Validator(
    json.loads(
        (
            ROOT
            / "constructs"
            / "cdk_personalize_segments"
            / "schemas"
            / "manifest-1.json"
        ).read_text(encoding="utf-8")
    ),
    format_checker=Draft202012Validator.FORMAT_CHECKER,
)
_folders = itertools.count()


@dataclass
class Deployed:
    """A deployed pipeline, as its users handle it."""

    aws: LocalAws
    state_machine_arn: str
    input_bucket: str
    output_bucket: str

    def put(self, folder: str, queries: Iterable[object], name: str = "all") -> None:
        """Upload a query file; text goes as it is, anything else as JSON."""
        lines = [
            each if isinstance(each, str) else json.dumps(each) for each in queries
        ]
        self.aws.client("s3").put_object(
            Bucket=self.input_bucket,
            Key=f"queries/{folder}/{name}.jsonl",
            Body="".join(f"{line}\n" for line in lines).encode(),
        )

    def run(self, folder: str | None = None, **execution_input: Any) -> Any:
        """Run to the end, over one folder of queries."""
        if folder is not None:
            execution_input["queries"] = folder
        execution = self.aws.run(self.state_machine_arn, execution_input, timeout=120)
        self._check_transitions(execution)
        return execution

    def _check_transitions(self, execution: Any) -> None:
        """Hold what a run's manifest counts against its history."""
        said = json.dumps(execution.output) if execution.output else execution.cause
        found = re.search(r"s3://[^\s\"]*/(\S+)/manifest\.json", said or "")
        if found:
            used = self.manifest(found[1].rpartition("/")[2])["cost"]["used"]
            entered = [
                event["stateEnteredEventDetails"]["name"]
                for event in execution.history
                if "stateEnteredEventDetails" in event
            ]
            assert used["transitions"] == len(entered), entered

    def start(self, folder: str, **execution_input: Any) -> str:
        """Start a run, and return the execution's ARN."""
        started = self.aws.client("stepfunctions").start_execution(
            stateMachineArn=self.state_machine_arn,
            input=json.dumps({"queries": folder, **execution_input}),
        )
        return str(started["executionArn"])

    def keys(self, bucket: str, prefix: str) -> list[str]:
        pages = (
            self.aws.client("s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=bucket, Prefix=prefix)
        )
        return [each["Key"] for page in pages for each in page.get("Contents", [])]

    def read(self, location: str) -> bytes:
        bucket, _, key = location.removeprefix("s3://").partition("/")
        body = self.aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return bytes(body)

    def manifest(self, run: str) -> Any:
        """Read a run's manifest, after checking it against its published schema."""
        key = f"results/{run}/manifest.json"
        content = json.loads(self.read(f"s3://{self.output_bucket}/{key}"))
        MANIFEST_SCHEMA.validate(content)
        return content

    def queries(self, run: str) -> list[dict[str, Any]]:
        """Read what became of every query, in order."""
        return [
            json.loads(line)
            for key in self.keys(self.output_bucket, f"results/{run}/queries/")
            for line in gzip.decompress(
                self.read(f"s3://{self.output_bucket}/{key}")
            ).splitlines()
        ]

    def users(self, run: str) -> dict[str, list[str]]:
        """Read the segments: the users of each query, best first."""
        segments: dict[str, list[str]] = {}
        for key in self.keys(self.output_bucket, f"results/{run}/users/"):
            text = gzip.decompress(
                self.read(f"s3://{self.output_bucket}/{key}")
            ).decode()
            for row in csv.DictReader(io.StringIO(text)):
                users = segments.setdefault(row["query_id"], [])
                assert int(row["rank"]) == len(users) + 1
                users.append(row["user_id"])
        return segments


@pytest.fixture(scope="session")
def aws(local_aws: LocalAws) -> LocalAws:
    return local_aws


@pytest.fixture(scope="session", autouse=True)
def _capabilities(local_aws: LocalAws) -> None:
    """Let the stacks of tests make roles, unless a test says what they may."""

    def allow(params: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {"Capabilities": ["CAPABILITY_NAMED_IAM"], **params}

    events = local_aws.client("cloudformation").meta.events
    for operation in ("CreateChangeSet", "CreateStack", "UpdateStack"):
        events.register(f"provide-client-params.cloudformation.{operation}", allow)


@pytest.fixture(scope="session")
def list_all(aws: LocalAws) -> Callable[[str, str], list[Any]]:
    """List all there is of a kind, as `list_all("iam", "list_roles")`.

    The account is shared by every test, so there is always more than one page.
    """

    def list_pages(service: str, operation: str) -> list[Any]:
        paginator = aws.client(service).get_paginator(operation)
        [kind] = paginator.result_keys
        return list(paginator.paginate().search(f"{kind.expression}[]"))

    return list_pages


@pytest.fixture(scope="session")
def synth(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Synthesise an app in this process: quicker than a process of its own."""

    def synthesise(*stacks: Callable[[cdk.App], object]) -> Path:
        outdir = tmp_path_factory.mktemp("assembly") / f"cdk.out.{next(_folders)}"
        app = cdk.App(context=CONTEXT, outdir=str(outdir), analytics_reporting=False)
        for define in stacks:
            define(app)
        app.synth()
        return outdir

    return synthesise


@pytest.fixture(scope="session")
def deploy(
    synth: Callable[..., Path],
    aws: LocalAws,
    deploy_assembly: Callable[[Path, str], dict[str, str]],
) -> Callable[..., dict[str, Deployed]]:
    """Deploy one stack of pipelines, and give a handle on each by its id."""

    def deploy_stack(
        name: str, define: Callable[[cdk.Stack], dict[str, BatchSegmentPipeline]]
    ) -> dict[str, Deployed]:
        def build(app: cdk.App) -> None:
            # In a bucket of its own: that of the CDK CLI may be made at any time.
            synthesizer = cdk.DefaultStackSynthesizer(
                qualifier="tests", generate_bootstrap_version_rule=False
            )
            stack = cdk.Stack(app, name, synthesizer=synthesizer)
            for key, pipeline in define(stack).items():
                _output(
                    stack, f"{key}Machine", pipeline.state_machine.state_machine_arn
                )
                _output(stack, f"{key}Input", pipeline.input_bucket.bucket_name)
                _output(stack, f"{key}Output", pipeline.output_bucket.bucket_name)

        outputs = deploy_assembly(synth(build), name)
        keys = [
            each.removesuffix("Machine") for each in outputs if each[-7:] == "Machine"
        ]
        return {
            key: Deployed(
                aws,
                outputs[f"{key}Machine"],
                outputs[f"{key}Input"],
                outputs[f"{key}Output"],
            )
            for key in keys
        }

    return deploy_stack


def _output(stack: cdk.Stack, name: str, value: str) -> None:
    output = cdk.CfnOutput(stack, name, value=value)
    output.override_logical_id(name)
