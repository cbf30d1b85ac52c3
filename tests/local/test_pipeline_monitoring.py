"""Alarms, dashboards and saved queries over real runs."""

import json
import time
from datetime import timedelta

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns

from cdk_personalize_segments import (
    AlarmSeverity,
    BatchSegmentDashboard,
    BatchSegmentPipeline,
    SolutionVersion,
)
from cdk_personalize_segments.local.cloudwatch.metrics import Metric
from cdk_personalize_segments.log_queries import RUN_PLACEHOLDER

pytestmark = pytest.mark.xdist_group("monitoring")

HOUR = timedelta(hours=1)
ONCALL = "oncall@example.org"


@pytest.fixture(scope="module")
def pipeline(aws, tmp_path_factory, deploy):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "items.csv").write_text("ITEM_ID,GENRES\n1,Comedy\n2,Drama\n")
    rows = [f"user-{user},{item},view" for user in range(9) for item in (1, 2)]
    header = "USER_ID,ITEM_ID,EVENT_TYPE"
    (folder / "interactions.csv").write_text("\n".join([header, *rows]))
    version = aws.personalize.seed(folder, name="watched")

    def define(stack):
        pipeline = BatchSegmentPipeline(
            stack,
            "Segments",
            solution_version=SolutionVersion.from_arn(version),
            queue_timeout=cdk.Duration.hours(6),
            job_timeout=cdk.Duration.hours(4),
        )
        topic = sns.Topic(stack, "OnCall")
        sns.CfnSubscription(
            stack,
            "Mail",
            topic_arn=topic.topic_arn,
            protocol="email",
            endpoint=ONCALL,
        )
        pipeline.add_alarms(
            action=actions.SnsAction(topic),
            ok_action=actions.SnsAction(topic),
            no_success_within={AlarmSeverity.CRITICAL: cdk.Duration.hours(26)},
        )
        # Later than the alarms, and watched all the same.
        never = scheduler.ScheduleExpression.rate(cdk.Duration.days(365))
        pipeline.add_schedule("Never", never, enabled=False)
        pipeline.add_dashboard()
        pipeline.add_log_queries()
        BatchSegmentDashboard(stack, "All", pipelines=[pipeline])
        return {"Segments": pipeline}

    return deploy("Monitored", define)["Segments"]


@pytest.fixture
def alarm(aws, pipeline):
    """Give the state of an alarm after some minutes, by what it watches."""
    client = aws.client("cloudwatch")

    def state(name, *, after=1):
        aws.clock.advance(timedelta(minutes=after))
        found = client.describe_alarms(AlarmNamePrefix="Monitored-SegmentsAlarms")
        [one] = [each for each in found["MetricAlarms"] if name in each["AlarmName"]]
        return one["StateValue"]

    return state


@pytest.fixture(scope="module")
def story(aws, pipeline):
    """Runs that succeed, fail and are aborted, and one that waits for the end."""
    pipeline.put("one", [{"itemId": "1"}])
    pipeline.put("two", [{"itemId": "1"}, {"itemId": "2"}])
    pipeline.put("bad", [{"itemId": "1"}, "nonsense"])
    started = aws.clock.now()
    runs = {"one": pipeline.run("one"), "two": pipeline.run("two")}
    runs["bad"] = pipeline.run("bad")
    runs["bad again"] = pipeline.run("bad")
    aws.personalize.fail_next_job("Not enough users")
    runs["failed"] = pipeline.run("one")
    aws.personalize.occupy(5, for_=3 * HOUR)
    runs["waited"] = pipeline.run("one")
    return started, runs


@pytest.fixture(scope="module")
def ask(aws, pipeline, story):
    """Run a saved query over the story, by its title, as the console does."""
    logs = aws.client("logs")
    started, _ = story
    saved = {
        each["name"].rpartition("/")[2]: each
        for each in logs.describe_query_definitions(
            queryDefinitionNamePrefix="PersonalizeSegments/Monitored-Segments-"
        )["queryDefinitions"]
    }

    def rows(title, **words):
        query = saved[title]["queryString"]
        for old, new in words.items():
            query = query.replace(old, new)
        answer = logs.start_query(
            queryString=query,
            logGroupNames=saved[title]["logGroupNames"],
            startTime=int(started.timestamp()),
            endTime=int(aws.clock.now().timestamp()) + 60,
        )
        found = logs.get_query_results(queryId=answer["queryId"])
        assert found["status"] == "Complete"
        return [
            {cell["field"]: cell["value"] for cell in row} for row in found["results"]
        ]

    rows.titles = set(saved)
    return rows


def _name(execution):
    return execution.arn.rpartition(":")[2]


def test_errors_by_name(ask):
    found = {row["error"]: row["runs"] for row in ask("Errors by name")}
    assert found == {"InvalidInput": "2", "JobFailed": "1"}


def test_metrics_come_from_what_the_functions_print(aws, pipeline, story):
    started, runs = story
    [prefix] = {
        each.output["run"].rpartition("-")[0] for each in runs.values() if each.output
    }

    def measured(name, statistic, **dimensions):
        [result] = aws.client("cloudwatch").get_metric_data(
            MetricDataQueries=[
                {
                    "Id": "m",
                    "MetricStat": {
                        "Metric": {
                            "Namespace": "PersonalizeSegments",
                            "MetricName": name,
                            "Dimensions": [
                                {"Name": key, "Value": value}
                                for key, value in {
                                    "Pipeline": prefix,
                                    **dimensions,
                                }.items()
                            ],
                        },
                        "Period": 60,
                        "Stat": statistic,
                    },
                }
            ],
            StartTime=started.replace(second=0, microsecond=0),
            EndTime=aws.clock.now() + HOUR,
        )["MetricDataResults"]
        return result["Values"]

    assert sum(measured("Runs", "Sum")) == len(runs)
    assert sum(measured("FailedRuns", "Sum")) == 3
    assert sum(measured("FailedRuns", "Sum", Error="InvalidInput")) == 2
    outputs = [each.output for each in runs.values() if each.output]
    assert sum(measured("Users", "Sum")) == sum(each["users"] for each in outputs)
    # Of the job that failed, its queries were prepared, too.
    assert sum(measured("Queries", "Sum")) == 1 + sum(
        each["queries"] for each in outputs
    )
    waits = measured("WaitingTime", "Maximum")
    assert 2.5 * 3600 < max(waits) <= 3 * 3600
    assert max(measured("QueueTime", "Maximum")) >= max(waits)


def test_last_results(ask, story):
    _, runs = story
    newest, *_ = found = ask("The last runs and their results")
    assert len(found) == len(runs)
    assert newest["run"] == runs["waited"].output["run"]
    assert (newest["message"], newest["queries"], newest["failedQueries"]) == (
        "Run succeeded",
        "1",
        "0",
    )
    assert newest["users"] == "9"
    assert [row.get("error") for row in found] == [
        None,
        "JobFailed",
        "InvalidInput",
        "InvalidInput",
        None,
        None,
    ]


def test_recent_failures(ask):
    found = ask("The last failures")
    assert [row["error"] for row in found] == [
        "JobFailed",
        "InvalidInput",
        "InvalidInput",
    ]
    assert all(row["run"].startswith("Monitored-Segments-") for row in found)


def test_slowest_runs(ask, story):
    _, runs = story
    slowest, *others = ask("The slowest runs")
    assert slowest["execution"] == _name(runs["waited"])
    assert float(slowest["minutes"]) >= 180
    assert len(others) == len(runs) - 1


def test_waits_for_job_slots(ask, story):
    _, runs = story
    [waited] = ask("Which runs waited for a job slot, and how often they asked")
    assert waited["run"] == runs["waited"].output["run"]
    assert int(waited["asked"]) > 10


def test_all_about_one_run(ask, story):
    _, runs = story
    run = runs["two"].output["run"]
    found = ask("All about one run", **{RUN_PLACEHOLDER: run})
    assert {"Job asked for", "Job looked at", "Run succeeded"} <= {
        row["message"] for row in found
    }
    assert ask("All about one run") == []


def test_transitions_by_run(ask, story):
    _, runs = story
    found = {
        row["execution"]: int(row["transitions"])
        for row in ask("State transitions by run, which Step Functions charges for")
    }
    for execution in runs.values():
        entered = [each for each in execution.history if each["type"][-7:] == "Entered"]
        assert found[_name(execution)] == len(entered)


def test_nothing_runs_after_the_last_run(ask):
    assert ask("What runs now, since when, and at which step") == []


def test_what_runs_now(aws, ask, pipeline):
    aws.personalize.occupy(5, for_=HOUR)
    with aws.clock.busy():
        # The clock stands still: the run gets to its first wait and no further.
        arn = pipeline.start("one")
        deadline = time.monotonic() + 30
        found = []
        while time.monotonic() < deadline:
            found = ask("What runs now, since when, and at which step")
            if found and found[0]["step"] == "Wait for a job slot":
                break
            time.sleep(0.05)
        [running] = found
        assert running["execution"] == arn.rpartition(":")[2]
        assert running["step"] == "Wait for a job slot"
        aws.client("stepfunctions").stop_execution(executionArn=arn)
    assert ask("What runs now, since when, and at which step") == []
    [aborted] = ask("Runs that were aborted or timed out")
    assert aborted["execution"] == running["execution"]
    assert aborted["type"] == "ExecutionAborted"


def test_a_failed_run_is_an_alarm_that_ends(aws, pipeline, alarm):
    assert alarm("FailedRuns", after=60) == "OK"
    told = len(aws.messages(ONCALL))
    pipeline.put("bad", ["nonsense"])
    pipeline.run("bad")
    assert alarm("FailedRuns") == "ALARM"
    # CloudWatch looks back for more than one period for what is not missing.
    assert alarm("FailedRuns", after=30) == "OK"
    mails = [json.loads(each.body) for each in aws.messages(ONCALL)[told:]]
    about = [each for each in mails if "FailedRuns" in each["AlarmName"]]
    assert [each["NewStateValue"] for each in about] == ["ALARM", "OK"]
    assert "#failed-runs" in about[0]["AlarmDescription"]


@pytest.fixture
def goes_to_and_fro(aws, alarm):
    """Check that an alarm is off, goes on with what is done, and off again."""

    def check(name, do, *, on_after=1, off_after=120):
        assert alarm(name, after=120) == "OK"
        do()
        assert alarm(name, after=on_after) == "ALARM"
        assert alarm(name, after=off_after) == "OK"

    return check


@pytest.mark.slow
def test_a_run_that_times_out_is_an_alarm_that_ends(aws, pipeline, goes_to_and_fro):
    states = aws.client("stepfunctions")
    machine = pipeline.state_machine_arn
    definition = states.describe_state_machine(stateMachineArn=machine)["definition"]
    shorter = json.dumps({**json.loads(definition), "TimeoutSeconds": 600})
    pipeline.put("one", [{"itemId": "1"}])

    def do():
        states.update_state_machine(stateMachineArn=machine, definition=shorter)
        try:
            assert pipeline.run("one").status == "TIMED_OUT"
        finally:
            states.update_state_machine(stateMachineArn=machine, definition=definition)

    goes_to_and_fro("TimedOutRuns", do)


@pytest.mark.slow
def test_an_aborted_run_is_an_alarm_that_ends(aws, pipeline, goes_to_and_fro):
    pipeline.put("one", [{"itemId": "1"}])

    def do():
        with aws.clock.busy():
            execution = pipeline.start("one")
            aws.client("stepfunctions").stop_execution(executionArn=execution)

    goes_to_and_fro("AbortedRuns", do)


@pytest.mark.slow
def test_throttled_transitions_are_an_alarm_that_ends(aws, pipeline, goes_to_and_fro):
    # Local AWS throttles nothing: what Step Functions would say of it is put.
    throttled = Metric.of(
        aws.region,
        "AWS/States",
        "ExecutionThrottled",
        {"StateMachineArn": pipeline.state_machine_arn},
    )
    goes_to_and_fro("ThrottledTransitions", lambda: aws.metrics.put(throttled, 1))


@pytest.mark.slow
def test_failed_queries_are_an_alarm_that_ends(aws, pipeline, goes_to_and_fro):
    pipeline.put("two", [{"itemId": "1"}, {"itemId": "2"}])

    def do():
        aws.personalize.query_errors["2"] = "Too few interactions"
        try:
            assert pipeline.run("two").output["failedQueries"] == 1
        finally:
            aws.personalize.query_errors.clear()

    goes_to_and_fro("FailedQueries", do)


@pytest.mark.slow
def test_a_run_that_is_queued_too_long_is_an_alarm_that_ends(
    aws, pipeline, goes_to_and_fro
):
    pipeline.put("one", [{"itemId": "1"}])

    def do():
        aws.personalize.jobs.clear()
        aws.personalize.occupy(5, for_=4 * HOUR)
        pipeline.start("one")

    # Half of queue_timeout is 3 hours.
    goes_to_and_fro("QueuedTooLong", do, on_after=3 * 60 + 20)


@pytest.mark.slow
def test_silence_is_an_alarm_that_ends_with_a_success(aws, pipeline, alarm):
    pipeline.put("one", [{"itemId": "1"}])
    assert pipeline.run("one").status == "SUCCEEDED"
    # The hour of the success counts when it is over.
    assert alarm("NoSuccess", after=120) == "OK"
    assert alarm("NoSuccess", after=22 * 60) == "OK"
    assert alarm("NoSuccess", after=5 * 60) == "ALARM"
    assert pipeline.run("one").status == "SUCCEEDED"
    assert alarm("NoSuccess", after=120) == "OK"


@pytest.mark.slow
def test_failing_functions_are_an_alarm_that_ends(
    aws, list_all, pipeline, goes_to_and_fro
):
    iam = aws.client("iam")
    [role] = [
        each["RoleName"]
        for each in list_all("iam", "list_roles")
        if "PrepareRole" in each["RoleName"] and "Monitored" in each["RoleName"]
    ]
    policy = iam.get_role_policy(RoleName=role, PolicyName="Task")["PolicyDocument"]
    denied = [{**each, "Effect": "Deny"} for each in policy["Statement"]]
    pipeline.put("one", [{"itemId": "1"}])

    def put(document):
        iam.put_role_policy(
            RoleName=role, PolicyName="Task", PolicyDocument=json.dumps(document)
        )

    def do():
        put({**policy, "Statement": denied})
        try:
            assert pipeline.run("one").status == "FAILED"
        finally:
            put(policy)

    goes_to_and_fro("FunctionErrors", do)


@pytest.mark.slow
def test_dead_letters_are_an_alarm_until_they_are_gone(aws, list_all, alarm):
    sqs = aws.client("sqs")
    [queue] = [
        each
        for each in list_all("sqs", "list_queues")
        if "Monitored" in each and "DeadLetters" in each
    ]
    assert alarm("DeadLetters", after=60) == "OK"
    sqs.send_message(QueueUrl=queue, MessageBody="a start that failed")
    assert alarm("DeadLetters", after=10) == "ALARM"
    sqs.purge_queue(QueueUrl=queue)
    assert alarm("DeadLetters", after=30) == "OK"
