"""The rules that others check templates by: cdk-nag, the CDK's own, cfn-lint."""

import json
import re

import aws_cdk as cdk
import cdk_nag
import pytest
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Template
from cfnlint.api import ManualArgs, lint

from cdk_personalize_segments import (
    AlarmSeverity,
    BatchSegmentDashboard,
    BatchSegmentPipeline,
    RunEvent,
    SolutionVersion,
)

FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:task:1"
SOLUTION = "arn:aws:personalize:us-east-1:111122223333:solution/films"
HERE = "us-east-1:111122223333"


def default(stack):
    BatchSegmentPipeline(
        stack, "Segments", solution_version=SolutionVersion.latest_of(SOLUTION)
    )


def customised(stack):
    version = cdk.CfnParameter(stack, "Version").value_as_string
    topic = sns.Topic.from_topic_attributes(
        stack,
        "Topic",
        topic_arn=f"arn:aws:sns:{HERE}:told",
        key_arn=f"arn:aws:kms:{HERE}:key/told",
    )
    queues = [
        sqs.Queue.from_queue_arn(stack, name, f"arn:aws:sqs:{HERE}:{name}")
        for name in ("Failures", "DeadLetters")
    ]
    pipeline = BatchSegmentPipeline(
        stack,
        "Segments",
        solution_version=SolutionVersion.from_arn(version),
        start_on_upload=True,
        input_bucket=s3.Bucket.from_bucket_name(stack, "Theirs", "their-bucket"),
        output_expiration=cdk.Duration.days(90),
        job_tags={"team": "crm"},
        results_table=True,
        allow_any_solution=True,
        notification_topic=topic,
    )
    pipeline.on_event(
        "Failures",
        event=RunEvent.FAILED,
        target=targets.SqsQueue(queues[0], dead_letter_queue=queues[1]),
    )
    pipeline.add_alarms(
        action=actions.SnsAction(topic),
        no_success_within={AlarmSeverity.CRITICAL: cdk.Duration.days(7)},
    )
    pipeline.add_dashboard()
    pipeline.add_log_queries()
    BatchSegmentDashboard(stack, "All", pipelines=[pipeline])


DEFINE = pytest.mark.parametrize("define", [default, customised])


@DEFINE
@pytest.mark.parametrize("pack", [cdk_nag.AwsSolutionsChecks, cdk_nag.ServerlessChecks])
def test_cdk_nag_finds_nothing(stack, define, pack):
    define(stack)
    violations = pack().validate_scope(stack).violations
    assert [
        (each.rule_name, where.construct_path)
        for each in violations
        for where in each.violating_resources
    ] == []


def test_cdk_nag_still_finds_what_is_not_acknowledged(stack):
    default(stack)
    s3.CfnBucket(stack, "Open")
    violations = cdk_nag.AwsSolutionsChecks().validate_scope(stack).violations
    assert {
        where.construct_path
        for each in violations
        for where in each.violating_resources
    } == {"Films/Open"}


@DEFINE
def test_the_cdk_s_own_rules_pass_as_errors(make_stack, define):
    stack = make_stack({"@aws-cdk/core:validateAgainstDefaultRules": True})
    define(stack)
    stack.node.root.synth()


@DEFINE
def test_cfn_lint_finds_nothing_in_the_template(stack, define):
    define(stack)
    assert _lint(Template.from_stack(stack).to_json()) == []


@DEFINE
def test_cfn_lint_finds_nothing_in_the_definition(stack, define, definition):
    define(stack)
    text = json.dumps(definition(Template.from_stack(stack)))
    text = text.replace("<AWS::Partition>", "aws")
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": "arn:aws:iam::111122223333:role/machine",
            # As an object: what is text in the template, cfn-lint does not look into.
            "Definition": json.loads(re.sub(r"<\w+>", FUNCTION, text)),
        },
    }
    assert _lint({"Resources": {"Machine": machine}}) == []


def test_cfn_lint_looks_into_definitions():
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": "arn:aws:iam::111122223333:role/machine",
            "Definition": {"StartAt": "A", "States": {"A": {"Type": "Nonsense"}}},
        },
    }
    assert _lint({"Resources": {"Machine": machine}})


def _lint(template):
    # W3005: the CDK itself writes DependsOn beside references to roles.
    rules = ManualArgs(regions=["us-east-1"], ignore_checks=["W3005"])
    return [str(match) for match in lint(json.dumps(template), config=rules)]
