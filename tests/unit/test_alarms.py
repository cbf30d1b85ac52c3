"""The alarms in the template: what they watch, when, and whom they tell."""

import re

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Template

from cdk_personalize_segments import AlarmSeverity

CRITICAL, WARNING = AlarmSeverity.CRITICAL, AlarmSeverity.WARNING


def alarms(stack):
    """Give the alarms of a stack by what they watch and how severe they are."""
    found = Template.from_stack(stack).find_resources("AWS::CloudWatch::Alarm")
    named = {}
    for logical_id, resource in found.items():
        name = re.fullmatch(r"SegmentsAlarms(\w+?)[0-9A-F]{8}", logical_id)[1]
        named[name] = resource["Properties"]
    return named


def test_the_defaults(stack, make_pipeline):
    before = len(Template.from_stack(_with_pipeline()).to_json()["Resources"])
    make_pipeline().add_alarms()
    found = alarms(stack)
    assert list(found) == [
        "FailedRunsCritical",
        "TimedOutRunsCritical",
        "AbortedRunsWarning",
        "ThrottledTransitionsWarning",
        "FailedQueriesWarning",
        "QueuedTooLongWarning",
        "FunctionErrorsWarning",
    ]
    resources = Template.from_stack(stack).to_json()["Resources"]
    assert len(resources) == before + len(found)


def _with_pipeline():
    from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion

    stack = cdk.Stack(cdk.App(), "Films")
    version = SolutionVersion.latest_of(
        "arn:aws:personalize:us-east-1:111122223333:solution/films"
    )
    BatchSegmentPipeline(stack, "Segments", solution_version=version)
    return stack
