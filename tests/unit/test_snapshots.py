"""The whole template and the whole definition: what a change does to users' stacks.

Logical ids stay visible: they are a promise. A changed one replaces a resource.
"""

import json
import re
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Template
from syrupy.extensions.json import JSONSnapshotExtension

from cdk_personalize_segments import (
    AlarmSeverity,
    BatchSegmentPipeline,
    RunEvent,
    SolutionVersion,
)

SOLUTION = "arn:aws:personalize:us-east-1:111122223333:solution/films"


@pytest.fixture
def snapshot_json(snapshot):
    return snapshot.use_extension(JSONSnapshotExtension)


def minimal(stack):
    BatchSegmentPipeline(
        stack, "Segments", solution_version=SolutionVersion.latest_of(SOLUTION)
    )


def everything_on(stack):
    topic = sns.Topic(stack, "Topic", master_key=kms.Key(stack, "Key"))
    pipeline = BatchSegmentPipeline(
        stack,
        "Segments",
        solution_version=SolutionVersion.from_arn(f"{SOLUTION}/a1b2c3d4"),
        num_results=1000,
        filter_arn="arn:aws:personalize:us-east-1:111122223333:filter/members",
        job_tags={"team": "crm"},
        input_bucket=s3.Bucket.from_bucket_name(stack, "Theirs", "their-bucket"),
        queries_prefix="segments/queries/",
        input_prefix="segments/input/",
        output_prefix="segments/output/",
        results_prefix="segments/results/",
        poll_interval=cdk.Duration.minutes(10),
        queue_timeout=cdk.Duration.hours(12),
        job_timeout=cdk.Duration.hours(36),
        max_failed_queries=10,
        skip_invalid_lines=True,
        results_table=True,
        allow_any_solution=True,
        schedule=scheduler.ScheduleExpression.rate(cdk.Duration.days(7)),
        start_on_upload=True,
        upload_suffixes=[".jsonl", ".jsonl.gz"],
        upload_window=cdk.Duration.minutes(1),
        notification_topic=topic,
        output_expiration=cdk.Duration.days(90),
        removal_policy=cdk.RemovalPolicy.DESTROY,
        log_retention=logs.RetentionDays.ONE_MONTH,
        architecture=lambda_.Architecture.X86_64,
    )
    pipeline.on_event(
        "Waiting", event=RunEvent.QUEUED_TOO_LONG, target=targets.SnsTopic(topic)
    )
    pipeline.add_alarms(
        no_success_within={AlarmSeverity.CRITICAL: cdk.Duration.days(7)}
    )
    pipeline.add_dashboard()
    pipeline.add_log_queries()


@pytest.mark.parametrize("define", [minimal, everything_on])
def test_template(make_stack, context, define, snapshot_json):
    stack = make_stack(context)
    define(stack)
    template = _without_hashes(Template.from_stack(stack).to_json())
    for resource in template["Resources"].values():
        # Text in pieces, which nobody can review: definitions have a snapshot of their
        # own, and dashboards tests.
        for name in ("DefinitionString", "DashboardBody"):
            resource.get("Properties", {}).pop(name, None)
    assert template == snapshot_json


@pytest.mark.parametrize("define", [minimal, everything_on])
def test_definition(make_stack, context, define, definition, snapshot_json):
    stack = make_stack(context)
    define(stack)
    parsed = definition(Template.from_stack(stack))
    assert _without_hashes(parsed) == snapshot_json


def _without_hashes(value: dict[str, Any]) -> dict[str, Any]:
    """Mask what changes with every line of a handler, and nothing else."""
    text = json.dumps(value)
    text = re.sub(r"[0-9a-f]{64}(\.\w+)", r"<asset>\1", text)
    text = re.sub(r"(CurrentVersion[0-9A-F]{8})[0-9a-f]{32}", r"\1<hash>", text)
    masked: dict[str, Any] = json.loads(text)
    return masked
