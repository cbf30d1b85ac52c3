"""Alarms, dashboards and saved queries over real runs."""

import json
import time
from datetime import timedelta

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns

from cdk_personalize_segments import (
    AlarmSeverity,
    BatchSegmentDashboard,
    BatchSegmentPipeline,
    SolutionVersion,
)
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
