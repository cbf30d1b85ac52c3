"""A deployed pipeline, watched by what the CDK makes of metrics, alarms and queries."""

from datetime import timedelta
from pathlib import Path

import pytest
from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion

MAIL = "pipeline-oncall@example.org"
QUERY = logs.QueryString(
    fields=["@timestamp", "coalesce(message, level) as told"],
    filter_statements=["ispresent(level)"],
    sort="@timestamp desc",
    limit=20,
)


@pytest.fixture(scope="module")
def pipeline(aws, deploy, tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("watched")
    (folder / "items.csv").write_text("ITEM_ID,GENRES\n1,Comedy\n")
    (folder / "interactions.csv").write_text("USER_ID,ITEM_ID\nu1,1\nu2,1\n")
    version = aws.personalize.seed(folder, name="watched")

    def define(stack):
        made = BatchSegmentPipeline(
            stack, "Watched", solution_version=SolutionVersion.from_arn(version)
        )
        topic = sns.Topic(stack, "Topic")
        topic.add_subscription(subscriptions.EmailSubscription(MAIL))
        failed = made.state_machine.metric_failed(period=Duration.minutes(1))
        started = made.state_machine.metric_started(period=Duration.minutes(1))
        alarm = cloudwatch.MathExpression(
            expression="IF(started > 0, failed / started, 0)",
            using_metrics={"failed": failed, "started": started},
            period=Duration.minutes(1),
        ).create_alarm(
            stack,
            "Alarm",
            threshold=0,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(topic))
        dashboard = cloudwatch.Dashboard(stack, "Dashboard")
        dashboard.add_widgets(cloudwatch.GraphWidget(left=[failed, started]))
        logs.QueryDefinition(
            stack,
            "Query",
            query_definition_name="lines",
            query_string=QUERY,
            log_groups=[made.log_group],
        )
        return {"Watched": made}

    return deploy("Watched", define)["Watched"]


def test_a_failed_run_is_measured_alarmed_of_and_found_in_the_logs(aws, pipeline):
    refused = len(aws.metrics.refused)
    pipeline.put("well", [{"itemId": "1"}])
    assert pipeline.run("well").status == "SUCCEEDED"
    aws.clock.advance(timedelta(minutes=5))
    assert aws.messages(MAIL) == []
    assert pipeline.run("nothing-there").status == "FAILED"
    aws.clock.advance(timedelta(minutes=1))
    [mail] = aws.messages(MAIL)
    assert mail.subject.startswith("ALARM: ")

    now = aws.clock.now()
    dimensions = [{"Name": "StateMachineArn", "Value": pipeline.state_machine_arn}]

    def total(name):
        points = aws.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/States",
            MetricName=name,
            Dimensions=dimensions,
            StartTime=now - timedelta(days=1),
            EndTime=now,
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points)

    names = ("ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed")
    assert [total(name) for name in names] == [2, 1, 1]
    assert len(aws.metrics.refused) == refused

    client = aws.client("logs")
    [saved] = client.describe_query_definitions(queryDefinitionNamePrefix="lines")[
        "queryDefinitions"
    ]
    groups = [
        group["logGroupName"]
        for group in client.describe_log_groups()["logGroups"]
        if group["logGroupName"].startswith("Watched")
    ]
    query_id = client.start_query(
        logGroupNames=groups,
        startTime=int((now - timedelta(days=1)).timestamp()),
        endTime=int(now.timestamp()),
        queryString=saved["queryString"],
    )["queryId"]
    rows = client.get_query_results(queryId=query_id)["results"]
    assert rows
    assert all(
        {"@timestamp", "told"} <= {cell["field"] for cell in row} for row in rows
    )
