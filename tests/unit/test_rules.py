"""The rules that others check templates by: cdk-nag, the CDK's own, cfn-lint."""

import json

import aws_cdk as cdk
import cdk_nag
import pytest
from aws_cdk import aws_s3 as s3
from cfnlint.api import ManualArgs, lint

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion

SOLUTION = "arn:aws:personalize:us-east-1:111122223333:solution/films"


def default(stack):
    BatchSegmentPipeline(
        stack, "Segments", solution_version=SolutionVersion.latest_of(SOLUTION)
    )


def customised(stack):
    version = cdk.CfnParameter(stack, "Version").value_as_string
    BatchSegmentPipeline(
        stack,
        "Segments",
        solution_version=SolutionVersion.from_arn(version),
        input_bucket=s3.Bucket.from_bucket_name(stack, "Theirs", "their-bucket"),
        output_expiration=cdk.Duration.days(90),
        job_tags={"team": "crm"},
        allow_any_solution=True,
    )


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
def test_cfn_lint_finds_nothing(stack, define):
    define(stack)
    assembly = stack.node.root.synth()
    template = assembly.get_stack_by_name("Films").template
    # W3005: the CDK itself writes DependsOn beside references to roles.
    rules = ManualArgs(regions=["us-east-1"], ignore_checks=["W3005"])
    found = lint(json.dumps(template), config=rules)
    assert [str(match) for match in found] == []
