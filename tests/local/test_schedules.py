"""Deployed schedules: runs start at their time, with their input, or step aside."""

import json
from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import aws_cdk as cdk
import pytest
from aws_cdk import aws_scheduler as scheduler

from cdk_personalize_segments import BatchSegmentPipeline, OnOverlap, SolutionVersion

pytestmark = pytest.mark.xdist_group("schedules")

DAY = timedelta(days=1)
DAILY = scheduler.ScheduleExpression.cron


@pytest.fixture(scope="module")
def pipelines(aws, tmp_path_factory, deploy):
    """One pipeline that runs whatever is due, and one that skips."""
    shop = tmp_path_factory.mktemp("shop")
    (shop / "items.csv").write_text("ITEM_ID\n1\n2\n")
    (shop / "interactions.csv").write_text("USER_ID,ITEM_ID\nann,1\nbob,2\n")
    version = SolutionVersion.from_arn(aws.personalize.seed(shop, name="schedules"))

    def define(stack):
        both, one = (
            BatchSegmentPipeline(
                stack,
                name,
                solution_version=version,
                poll_interval=cdk.Duration.minutes(30),
            )
            for name in ("Both", "One")
        )
        both.add_schedule(
            "Berlin",
            DAILY(hour="3", minute="0"),
            time_zone=cdk.TimeZone.EUROPE_BERLIN,
            input={"queries": "some", "numResults": 1},
        )
        both.add_schedule("Utc", DAILY(hour="9", minute="0"), input={"queries": "more"})
        both.add_schedule("Off", DAILY(hour="10", minute="0"), enabled=False)
        for name in ("First", "Second"):
            one.add_schedule(
                name,
                DAILY(hour="12", minute="0"),
                input={"queries": "some"},
                on_overlap=OnOverlap.SKIP,
            )
        return {"Both": both, "One": one}

    deployed = deploy("Schedules", define)
    for each in deployed.values():
        each.put("some", [{"itemId": "1"}])
        each.put("more", [{"itemId": "1"}, {"itemId": "2"}])
    return deployed


def let_pass(deployed, duration):
    """Let time pass; give the executions that began meanwhile, oldest first."""
    aws, client = deployed.aws, deployed.aws.client("stepfunctions")
    began = aws.clock.now()
    aws.clock.advance(duration)
    pages = client.get_paginator("list_executions").paginate(
        stateMachineArn=deployed.state_machine_arn
    )
    found = [
        client.describe_execution(executionArn=each["executionArn"])
        for page in pages
        for each in page["executions"]
        if each["startDate"] >= began
    ]
    return sorted(found, key=lambda each: (each["startDate"], each["executionArn"]))


def test_runs_start_at_their_time_in_their_zone_with_their_input(aws, pipelines):
    aws.clock.advance_to(
        (aws.clock.now() + DAY).replace(hour=12, minute=30, second=0, microsecond=0)
    )
    first, second = let_pass(pipelines["Both"], DAY)
    at = first["startDate"].astimezone(ZoneInfo("Europe/Berlin"))
    assert (at.hour, at.minute, at.second) == (3, 0, 0)
    at = second["startDate"].astimezone(UTC)
    assert (at.hour, at.minute, at.second) == (9, 0, 0)
    outputs = [json.loads(each["output"]) for each in (first, second)]
    assert [(each["queries"], each["users"]) for each in outputs] == [(1, 1), (2, 2)]


def test_of_two_that_start_in_the_same_second_one_runs(aws, pipelines):
    deployed = pipelines["One"]
    both = let_pass(deployed, DAY)
    assert len({each["startDate"].replace(microsecond=0) for each in both}) == 1
    assert [each["status"] for each in both] == ["SUCCEEDED"] * 2
    outputs = [json.loads(each["output"]) for each in both]
    [ran] = [each for each in outputs if each["nothingToDo"] is None]
    [skipped] = [each for each in outputs if each["nothingToDo"] is not None]
    assert ran["users"] == 1
    assert skipped["nothingToDo"].startswith(f"The run {ran['run']}, which started at ")
    assert skipped["jobName"] is None


def test_a_run_steps_aside_for_one_that_was_started_by_hand(aws, pipelines):
    deployed = pipelines["One"]
    now = aws.clock.now()
    noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
    noon += DAY if noon <= now else timedelta(0)
    aws.clock.advance_to(noon - timedelta(seconds=90))
    with aws.clock.busy():
        by_hand = deployed.start("some")
        # So that it is still working at noon.
        found = aws.clock.now()
    executions = let_pass(deployed, timedelta(hours=4))
    assert executions[0]["executionArn"] == by_hand
    assert executions[0]["startDate"] - found < timedelta(seconds=1)
    outputs = [json.loads(each["output"]) for each in executions]
    assert [each["nothingToDo"] is None for each in outputs] == [True, False, False]
    assert all(outputs[0]["run"] in each["nothingToDo"] for each in outputs[1:])


def test_a_start_that_fails_for_good_is_kept(aws, pipelines, list_all):
    deployed = pipelines["Both"]
    [role] = [
        each["RoleName"]
        for each in list_all("iam", "list_roles")
        if "Schedules-BothSchedulesRole" in each["RoleName"]
    ]
    iam = aws.client("iam")
    policy = iam.get_role_policy(RoleName=role, PolicyName="Start")["PolicyDocument"]
    kept = [each for each in policy["Statement"] if each["Sid"] == "KeepFailedStarts"]
    iam.put_role_policy(
        RoleName=role,
        PolicyName="Start",
        PolicyDocument=json.dumps({**policy, "Statement": kept}),
    )
    try:
        assert let_pass(deployed, DAY) == []
    finally:
        iam.put_role_policy(
            RoleName=role, PolicyName="Start", PolicyDocument=json.dumps(policy)
        )
    [queue] = [
        each
        for each in list_all("sqs", "list_queues")
        if "Schedules-BothSchedulesDeadLetters" in each
    ]
    messages = aws.client("sqs").receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10
    )["Messages"]
    assert sorted(json.loads(each["Body"])["queries"] for each in messages) == [
        "more",
        "some",
    ]


def test_what_may_not_be_listed_is_said_in_a_sentence(pipelines):
    execution = pipelines["Both"].run("some", onOverlap="skip")
    assert execution.status == "FAILED"
    assert execution.error == "AccessDenied"
    assert "states:ListExecutions" in execution.cause
