"""Schedules: what is defined, and what is refused at synth."""

import json
import subprocess
import sys

import aws_cdk as cdk
import pytest
from aws_cdk import aws_scheduler as scheduler
from aws_cdk.assertions import Template

from cdk_personalize_segments import BatchSegmentPipeline, OnOverlap, SolutionVersion

from .conftest import FLAGS, new_stack

SOLUTION = "arn:aws:personalize:us-east-1:111122223333:solution/films"
NIGHTLY = scheduler.ScheduleExpression.cron(hour="3", minute="0")


@pytest.fixture
def pipeline():
    return new_pipeline()


def new_pipeline(**properties):
    return BatchSegmentPipeline(
        new_stack(FLAGS["cdk.json"]),
        "Segments",
        solution_version=SolutionVersion.latest_of(SOLUTION),
        **properties,
    )


def template_of(pipeline):
    return Template.from_stack(cdk.Stack.of(pipeline))


def test_the_first_schedule_adds_five_resources_and_a_further_one_adds_one():
    pipeline = new_pipeline(schedule=NIGHTLY)
    pipeline.add_schedule("Weekly", NIGHTLY, input={"queries": "weekly"})
    template = template_of(pipeline)
    assert len(template.to_json()["Resources"]) == 24 + 5 + 1
    for each in ("ScheduleGroup", "Schedule"):
        template.resource_count_is(
            f"AWS::Scheduler::{each}", 1 if each == "ScheduleGroup" else 2
        )
    template.all_resources_properties(
        "AWS::Scheduler::Schedule",
        {
            "Target": {
                "RetryPolicy": {
                    "MaximumEventAgeInSeconds": 3600,
                    "MaximumRetryAttempts": 185,
                }
            }
        },
    )


def test_skipping_adds_one_grant_for_all_schedules(pipeline):
    for name in ("A", "B"):
        pipeline.add_schedule(name, NIGHTLY, on_overlap=OnOverlap.SKIP)
    template = template_of(pipeline)
    template.resource_count_is("AWS::IAM::Policy", 1)
    template.all_resources_properties(
        "AWS::Scheduler::Schedule", {"Target": {"Input": '{"onOverlap":"skip"}'}}
    )


def test_input_window_zone_and_state_are_those_asked_for(pipeline):
    schedule = pipeline.add_schedule(
        "Nightly",
        NIGHTLY,
        time_zone=cdk.TimeZone.of("Europe/Berlin"),
        input={"numResults": 5, "tags": {"team": "films"}},
        flexible_window=cdk.Duration.hours(1),
        enabled=False,
    )
    assert schedule.schedule_expression_timezone == "Europe/Berlin"
    template_of(pipeline).has_resource_properties(
        "AWS::Scheduler::Schedule",
        {
            "State": "DISABLED",
            "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 60},
            "Target": {"Input": '{"numResults":5,"tags":{"team":"films"}}'},
        },
    )


def test_tokens_in_the_input_are_left_to_the_run(pipeline):
    pipeline.add_schedule(
        "Nightly", NIGHTLY, input={"filterArn": cdk.Fn.import_value("filter")}
    )
    assert "Fn::ImportValue" in json.dumps(template_of(pipeline).to_json())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"numResults": 0}, "numResults must be 1 to 5,000,000, got 0"),
        ({"queriess": "a"}, "unknown key 'queriess'; allowed are queries"),
        ({"filterArn": SOLUTION}, "filterArn must be the ARN of a filter"),
        ({"tags": {"aws:a": "b"}}, "keys that start with 'aws:' are reserved"),
        ({"resume": "x"}, "cannot have 'resume'"),
        ({"files": []}, "cannot have 'files'"),
        ({"onOverlap": "skip"}, "on_overlap=OnOverlap.SKIP"),
        (
            {"solutionVersionArn": f"{SOLUTION}-other/0a1b"},
            "is not a version of the pipeline's solution",
        ),
    ],
)
def test_an_input_that_a_run_would_refuse_is_refused_at_synth(pipeline, given, says):
    with pytest.raises(ValueError, match="input of a schedule") as refused:
        pipeline.add_schedule("Nightly", NIGHTLY, input=given)
    assert says in str(refused.value)


@pytest.mark.parametrize("key", ["solutionVersionArn", "filterArn"])
def test_what_an_input_names_must_be_where_the_pipeline_is(key):
    env = cdk.Environment(account="111122223333", region="us-east-1")
    stack = cdk.Stack(cdk.App(), "There", env=env)
    pipeline = BatchSegmentPipeline(
        stack,
        "Segments",
        solution_version=SolutionVersion.latest_of(SOLUTION),
        allow_any_solution=True,
    )
    elsewhere = SOLUTION.replace("us-east-1", "eu-west-1")
    kinds = {
        "solutionVersionArn": f"{elsewhere}/0a1b",
        "filterArn": elsewhere.replace(":solution/", ":filter/"),
    }
    with pytest.raises(ValueError, match=f"input of a schedule: {key} is in") as told:
        pipeline.add_schedule("Nightly", NIGHTLY, input={key: kinds[key]})
    assert "eu-west-1" in str(told.value)
    pipeline.add_schedule(
        "Fitting",
        NIGHTLY,
        input={key: kinds[key].replace("eu-west-1", "us-east-1")},
    )


def test_tags_count_together_with_those_of_the_pipeline():
    pipeline = new_pipeline(job_tags={f"own-{each}": "" for each in range(49)})
    with pytest.raises(ValueError, match="51 together"):
        pipeline.add_schedule("Nightly", NIGHTLY, input={"tags": {"a": "", "b": ""}})


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"expression": "rate(1 day)"}, TypeError, "must be a ScheduleExpression"),
        ({"time_zone": "Europe/Berlin"}, TypeError, "must be an aws_cdk.TimeZone"),
        (
            {"time_zone": cdk.TimeZone.of("Europe/Berlim")},
            ValueError,
            "time_zone must be a name .* got 'Europe/Berlim'",
        ),
        (
            {"flexible_window": cdk.Duration.seconds(90)},
            ValueError,
            "1 minute to 24 hours, in whole minutes, got 1 minute 30 seconds",
        ),
        ({"flexible_window": cdk.Duration.hours(25)}, ValueError, "got 1 day 1 hour"),
        ({"input": "{}"}, TypeError, "input must be a mapping"),
        ({"input": []}, TypeError, "input must be a mapping"),
        ({"enabled": "no"}, TypeError, "enabled must be True or False"),
        ({"on_overlap": "skip"}, TypeError, "OnOverlap.RUN or OnOverlap.SKIP"),
        (
            {
                "expression": scheduler.ScheduleExpression.cron(
                    hour="3", time_zone=cdk.TimeZone.ASIA_TOKYO
                ),
                "time_zone": cdk.TimeZone.EUROPE_PARIS,
            },
            ValueError,
            "Europe/Paris, and the expression has the time zone Asia/Tokyo",
        ),
    ],
)
def test_what_is_not_allowed_is_refused_in_a_sentence(pipeline, settings, error, says):
    with pytest.raises(error, match=says):
        pipeline.add_schedule(
            "Nightly", settings.pop("expression", NIGHTLY), **settings
        )


def test_inputs_are_checked_where_there_is_no_sdk():
    code = """
import sys
sys.modules["botocore"] = sys.modules["boto3"] = None
from cdk_personalize_segments._runtime import execution_input
print(execution_input.KEYS[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "queries\n"
