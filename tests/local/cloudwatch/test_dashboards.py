"""Dashboards: bodies that could be shown, and all others."""

import json

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cloudwatch
from botocore.exceptions import ClientError

from cdk_personalize_segments.local.cloudwatch import dashboard_schema
from cdk_personalize_segments.local.cloudwatch.dashboards import (
    DashboardError,
    by_region,
    check_body,
    split_query,
)

REGION = {"region": "us-east-1"}
RUNS = ["Own", "Runs", "Pipeline", "a"]


def metric(*rows, **properties):
    properties = {**REGION, "metrics": list(rows), **properties}
    return {"type": "metric", "properties": properties}


def log(query, **properties):
    return {"type": "log", "properties": {**REGION, "query": query, **properties}}


def body(*widgets, **more):
    return json.dumps({"widgets": list(widgets), **more})


VALID = [
    {"type": "text", "properties": {"markdown": "# One", "background": "solid"}},
    {"type": "alarm", "properties": {"alarms": ["arn:a"], "states": ["ALARM"]}},
    log("SOURCE 'group' | SOURCE 'other' | fields run | limit 5", view="table"),
    metric(RUNS, [".", "Failed", ".", "."], ["...", "b", {"stat": "Sum"}]),
    metric(
        [*RUNS, {"id": "m1", "visible": False, "period": 60}],
        [{"expression": "FILL(m1, 0)", "label": "Runs", "id": "e1"}],
        [{"expression": "SEARCH('{Own,Pipeline}', 'Sum', 3600)", "yAxis": "right"}],
        view="timeSeries",
        yAxis={"left": {"min": 0, "label": "Runs", "showUnits": False}},
        annotations={
            "horizontal": [
                {"value": 1, "fill": "above", "color": "#f00"},
                [{"value": 1}, {"value": 2}],
            ],
            "vertical": [{"value": "2031-05-01T12:00:00Z", "fill": "before"}],
        },
        legend={"position": "right"},
    ),
    metric(RUNS, view="gauge", yAxis={"left": {"min": 0, "max": 9}}),
    {
        "type": "metric",
        "properties": {**REGION, "annotations": {"alarms": ["arn:a"]}},
    },
]


@pytest.mark.emulates(*(f"widget:{name}" for name in dashboard_schema.PROPERTIES))
@pytest.mark.parametrize("widget", VALID)
def test_what_could_be_shown_is_taken(widget):
    placed = {**widget, "x": 0, "y": 3, "width": 24, "height": 6}
    check_body(body(placed, start="-PT6H", periodOverride="inherit"))


TEXT = VALID[0]
INVALID = [
    ("{", "the body is no JSON"),
    ("{}", "'widgets' is a required property"),
    (body(variables=[]), "'variables' was unexpected"),
    (body(periodOverride="never"), "/periodOverride: 'never' is not one of"),
    (body(*[TEXT] * 501), "/widgets"),
    (body({**TEXT, "width": 25}), "/widgets/0/width: 25 is greater than"),
    (body({**TEXT, "x": 24}), "/widgets/0/x"),
    (body({**TEXT, "y": -1}), "/widgets/0/y"),
    (body({**TEXT, "height": 0}), "/widgets/0/height"),
    (body(TEXT, {**TEXT, "z": 1}), "/widgets/1: .*'z' was unexpected"),
    (body({**TEXT, "type": "explorer"}), "'explorer' is not one of"),
    (body({"type": "text"}), "'properties' is a required property"),
    (body({"type": "text", "properties": {}}), "'markdown' is a required"),
    (body({"type": "alarm", "properties": {"alarms": []}}), "/properties/alarms"),
    (body(log("fields run")), "must begin with SOURCE"),
    (body(log("SOURCE 'a' | pattern run")), "the command pattern"),
    (body(log("SOURCE 'a' | fields run", view="line")), "/properties/view"),
    (body(metric(RUNS, colour="red")), "'colour' was unexpected"),
    (body(metric(RUNS, region=5)), "/properties/region"),
    (body(metric(RUNS, view="gauge")), "a gauge needs min and max"),
    (body(metric(RUNS, period=90)), "/properties/period"),
    (body(metric(RUNS, stat="Median")), "the statistic Median"),
    (body({"type": "metric", "properties": REGION}), "metrics are required"),
    (body(metric(["Own"])), "metrics/0 must have a namespace, a name"),
    (body(metric([*RUNS, "Error"])), "metrics/0 must have a namespace, a name"),
    (body(metric([".", "Runs"])), "metrics/0 repeats what is not there"),
    (body(metric(["Own", 5])), "metrics/0 must be texts"),
    (body(metric([*RUNS, {"stats": "Sum"}])), "metrics/0: .*'stats' was unexpected"),
    (body(metric([{"label": "none"}])), "neither metric nor expression"),
    (body(metric([*RUNS, {"expression": "1"}])), "has a metric and an expression"),
    (body(metric([{"expression": "HOUR(m1)"}])), "the function HOUR"),
    (body(metric([{"expression": "m1 + 1"}])), "refers to m1, and there is none"),
    (body(metric([*RUNS, {"id": "a"}], [*RUNS, {"id": "a"}])), "must be unique"),
]


@pytest.mark.parametrize(("text", "named"), INVALID)
def test_what_could_not_be_shown_is_refused_with_its_place(text, named):
    with pytest.raises(DashboardError, match=named):
        check_body(text)


def test_widgets_give_queries_for_their_metrics():
    [*_, widget] = [each for each in VALID if len(each["properties"]) > 5]
    [queries] = by_region(widget["properties"]).values()
    assert [each["Id"] for each in queries] == ["m1", "e1", "row2"]
    assert queries[0] == {
        "Id": "m1",
        "ReturnData": False,
        "MetricStat": {
            "Metric": {
                "Namespace": "Own",
                "MetricName": "Runs",
                "Dimensions": [{"Name": "Pipeline", "Value": "a"}],
            },
            "Period": 60,
            "Stat": "Average",
        },
    }
    [three] = by_region(VALID[3]["properties"]).values()
    named = [each["MetricStat"]["Metric"] for each in three]
    assert [each["MetricName"] for each in named] == ["Runs", "Failed", "Failed"]
    assert [each["Dimensions"][0]["Value"] for each in named] == ["a", "a", "b"]
    elsewhere = metric([*RUNS, {"region": "eu-west-1"}], RUNS)["properties"]
    assert list(by_region(elsewhere)) == ["eu-west-1", "us-east-1"]


def test_log_widgets_name_their_groups():
    groups, query = split_query("SOURCE 'a' | SOURCE \"b\" | fields run")
    assert (groups, query) == (["a", "b"], "fields run")


@pytest.mark.emulates("cloudwatch:PutDashboard", "cloudwatch:GetDashboard")
def test_dashboards_are_checked_when_they_are_put(aws):
    client = aws.client("cloudwatch")
    text = body(*VALID)
    put = client.put_dashboard(DashboardName="checked", DashboardBody=text)
    assert put["DashboardValidationMessages"] == []
    found = client.get_dashboard(DashboardName="checked")
    assert found["DashboardBody"] == text
    with pytest.raises(ClientError, match="'widgets' is a required property"):
        client.put_dashboard(DashboardName="checked", DashboardBody="{}")
    with pytest.raises(ClientError, match="letters, digits, hyphens"):
        client.put_dashboard(DashboardName="not checked", DashboardBody=text)


def test_what_the_cdk_makes_is_taken():
    stack = cdk.Stack()
    runs = cloudwatch.Metric(
        namespace="Own", metric_name="Runs", dimensions_map={"Pipeline": "a"}
    )
    alarm = runs.create_alarm(stack, "Alarm", threshold=1, evaluation_periods=1)
    failed = cloudwatch.MathExpression(
        expression="100 * failed / runs",
        using_metrics={"runs": runs, "failed": runs.with_(statistic="p90")},
        label="Failed",
    )
    search = cloudwatch.MathExpression(
        expression="SEARCH('{Own,Pipeline} MetricName=\"Runs\"', 'Sum', 300)",
        using_metrics={},
    )
    dashboard = cloudwatch.Dashboard(stack, "Dashboard", start="-P1W")
    dashboard.add_widgets(
        cloudwatch.TextWidget(markdown="# Runs", width=24),
        cloudwatch.GraphWidget(
            left=[runs, failed],
            right=[search],
            left_annotations=[{"value": 1, "fill": cloudwatch.Shading.ABOVE}],
            left_y_axis={"min": 0},
            view=cloudwatch.GraphWidgetView.BAR,
        ),
        cloudwatch.SingleValueWidget(metrics=[runs], set_period_to_time_range=True),
        cloudwatch.GaugeWidget(metrics=[runs]),
        cloudwatch.TableWidget(metrics=[runs]),
        cloudwatch.AlarmWidget(alarm=alarm),
        cloudwatch.AlarmStatusWidget(alarms=[alarm], title="Alarms"),
        cloudwatch.LogQueryWidget(
            log_group_names=["group"],
            query_lines=["fields run", "filter level = 'ERROR'"],
            view=cloudwatch.LogQueryVisualizationType.TABLE,
        ),
    )
    template = cdk.assertions.Template.from_stack(stack)
    [made] = template.find_resources("AWS::CloudWatch::Dashboard").values()
    _, parts = made["Properties"]["DashboardBody"]["Fn::Join"]
    text = "".join(each if isinstance(each, str) else "us-east-1" for each in parts)
    check_body(text)
