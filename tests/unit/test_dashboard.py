"""The dashboards in the template: complete, well laid out, and of one resource."""

import json

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Template

from cdk_personalize_segments import (
    AlarmSeverity,
    BatchSegmentDashboard,
    BatchSegmentPipeline,
    SolutionVersion,
)

SOLUTION = "arn:aws:personalize:us-east-1:111122223333:solution/films"
MACHINE = "arn:aws:states:us-east-1:111122223333:stateMachine:other"
DASHBOARD = "AWS::CloudWatch::Dashboard"
LEGEND = {
    "Succeeded": "#2ca02c",
    "With users": "#2ca02c",
    "Failed": "#d62728",
    "Failed queries": "#d62728",
    "Calls that fail": "#d62728",
    "Timed out": "#8c564b",
    "Aborted": "#7f7f7f",
    "Longest wait": "#ff7f0e",
    "Waited for a job slot": "#ff7f0e",
}


def pipeline_of(stack, construct_id="Segments"):
    version = SolutionVersion.latest_of(SOLUTION)
    return BatchSegmentPipeline(stack, construct_id, solution_version=version)


def body_of(stack, reference="<{}>"):
    """Read the body of the stack's dashboard, with ids for what is not known yet."""
    [dashboard] = Template.from_stack(stack).find_resources(DASHBOARD).values()
    assert "DashboardName" not in dashboard["Properties"]
    _, pieces = dashboard["Properties"]["DashboardBody"]["Fn::Join"]
    texts = [
        piece if isinstance(piece, str) else reference.format(_id(piece))
        for piece in pieces
    ]
    return json.loads("".join(texts))


def _id(piece):
    [value] = piece.values()
    return value if isinstance(value, str) else value[0]


def by_title(body):
    return {
        widget["properties"].get("title"): widget["properties"]
        for widget in body["widgets"]
        if widget["type"] != "text"
    }


@pytest.fixture(scope="module")
def stack():
    stack = cdk.Stack(cdk.App(), "Films")
    pipeline = pipeline_of(stack)
    dashboard = pipeline.add_dashboard()
    assert isinstance(dashboard, cloudwatch.Dashboard)
    # Later than the dashboard, and on it all the same.
    pipeline.add_alarms()
    pipeline._watch_dead_letters("Uploads", sqs.Queue(stack, "Dead"))
    return stack


@pytest.fixture(scope="module")
def body(stack):
    return body_of(stack)


@pytest.fixture(scope="module")
def many():
    app = cdk.App()
    stack = cdk.Stack(app, "Films")
    pipelines = [pipeline_of(stack, name) for name in ("One", "Two")]
    elsewhere = cdk.Stack(app, "All")
    imported = BatchSegmentPipeline.from_state_machine_arn(
        elsewhere, "Imported", MACHINE
    )
    BatchSegmentDashboard(elsewhere, "Many", pipelines=[*pipelines, imported])
    for pipeline in pipelines:
        pipeline.add_alarms()
    return body_of(elsewhere)


def test_it_is_one_resource(stack):
    resources = Template.from_stack(stack).to_json()["Resources"]
    alarms = [each for each in resources.values() if "Alarm" in each["Type"]]
    # 24 of the pipeline, and the queue of this test.
    assert len(resources) == 24 + len(alarms) + 1 + 1


@pytest.mark.parametrize("which", ["body", "many"])
def test_the_layout_has_no_gaps_and_no_overlaps(request, which):
    cells = {}
    for widget in request.getfixturevalue(which)["widgets"]:
        for x in range(widget["x"], widget["x"] + widget["width"]):
            for y in range(widget["y"], widget["y"] + widget["height"]):
                assert (x, y) not in cells, (widget, cells[x, y])
                cells[x, y] = widget
    lowest = max(y for _, y in cells)
    assert set(cells) == {(x, y) for x in range(24) for y in range(lowest + 1)}


@pytest.mark.parametrize("which", ["body", "many"])
def test_every_widget_has_a_title_and_every_axis_a_unit_and_starts_at_0(request, which):
    for widget in request.getfixturevalue(which)["widgets"]:
        properties = widget["properties"]
        if widget["type"] == "text":
            assert properties["markdown"].startswith("#")
            continue
        assert properties["title"]
        if widget["type"] == "metric" and properties["view"] != "singleValue":
            left = properties["yAxis"]["left"]
            assert left["min"] == 0
            assert left["label"]


def test_colours_mean_the_same_everywhere(body):
    for widget in body["widgets"]:
        for *_, options in widget["properties"].get("metrics", []):
            wanted = LEGEND.get(options.get("label"))
            assert wanted in (None, options.get("color")), options


def test_what_is_asked_of_it_is_there(body):
    shown = by_title(body)
    assert list(shown) == [
        "Runs and their results in the time that is shown",
        "Alarms",
        "What runs now, since when, and at which step",
        "Waiting for a job slot",
        "The last runs and their results",
        "How runs end",
        "Errors by name",
        "Queries",
        "The last failures",
        "What fails in functions and queues",
        "How long runs take",
        "The slowest runs",
        "Users in segments",
        "Data",
        "Function time",
        "State transitions by day",
    ]
    assert body["start"] == "-P7D"


def test_errors_are_found_by_search(body):
    [[found]] = by_title(body)["Errors by name"]["metrics"]
    assert "{PersonalizeSegments,Pipeline,Error}" in found["expression"]
    assert 'Pipeline="Films-Segments-' in found["expression"]
    assert found["label"] == "${PROP('Dim.Error')}"


def test_later_alarms_and_dead_letters_are_shown(body, stack):
    alarms = Template.from_stack(stack).find_resources("AWS::CloudWatch::Alarm")
    assert by_title(body)["Alarms"]["alarms"] == [f"<{each}>" for each in alarms]
    metrics = by_title(body)["What fails in functions and queues"]["metrics"]
    labels = [options.get("label") for *_, options in metrics]
    assert "Dead letters: uploads" in labels


def test_without_alarms_it_says_so(make_stack):
    stack = make_stack({})
    pipeline_of(stack).add_dashboard(default_interval=cdk.Duration.hours(3))
    body = body_of(stack)
    assert body["start"] == "-PT3H"
    texts = [each["properties"].get("markdown", "") for each in body["widgets"]]
    assert any("add_alarms()" in each for each in texts)


def test_function_time_counts_memory(body):
    [total, *hidden] = by_title(body)["Function time"]["metrics"]
    assert total[0]["expression"].startswith("(FILL(time0x0, 0) * 1769 + ")
    assert len(hidden) == 5
    assert {each[1] for each in hidden} == {"Duration"}


def test_the_runs_and_results_are_linked(body):
    markdown = body["widgets"][0]["properties"]["markdown"]
    assert "https://<AWS::Region>.console.aws.amazon.com/states/home" in markdown
    assert "(https://<AWS::Region>.console.aws.amazon.com/s3/buckets/" in markdown


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("cn-north-1", "https://cn-north-1.console.amazonaws.cn/"),
        ("us-gov-west-1", "https://us-gov-west-1.console.amazonaws-us-gov.com/"),
        ("eu-west-1", "https://eu-west-1.console.aws.amazon.com/"),
    ],
)
def test_links_lead_to_the_console_of_the_partition(make_stack, region, host):
    stack = make_stack({}, env=cdk.Environment(account="1" * 12, region=region))
    version = SolutionVersion.latest_of(
        f"arn:aws:personalize:{region}:{'1' * 12}:solution/films"
    )
    pipeline = BatchSegmentPipeline(stack, "Segments", solution_version=version)
    pipeline.add_dashboard()
    assert host in body_of(stack)["widgets"][0]["properties"]["markdown"]


def test_widgets_can_be_added(make_stack):
    stack = make_stack({})
    widget = cloudwatch.TextWidget(markdown="Ours", width=24, height=1)
    pipeline_of(stack).add_dashboard().add_widgets(widget)
    last = body_of(stack)["widgets"][-1]
    assert (last["properties"]["markdown"], last["x"]) == ("Ours", 0)


def test_calling_twice_is_refused(make_stack):
    pipeline = pipeline_of(make_stack({}))
    pipeline.add_dashboard()
    with pytest.raises(ValueError, match="add_dashboard was called for the pipeline"):
        pipeline.add_dashboard()


def test_many_pipelines_also_imported_ones(many):
    shown = by_title(many)
    ends = json.dumps(shown["Runs that failed"]["metrics"])
    assert MACHINE in ends
    for name in ("Films/One", "Films/Two", "All/Imported"):
        assert f'"label": "{name}"' in ends
    assert len(shown["Alarms"]["alarms"]) == 2 * 7
    query = shown["What runs now, since when, and at which step"]["query"]
    assert query.count("SOURCE '") == 2
    assert "by machine, execution" in query
    assert "pipeline, run" in shown["The last runs and their results"]["query"]
    assert len(shown["Errors by name"]["metrics"]) == 2


def test_only_imported_pipelines(make_stack):
    stack = make_stack({})
    imported = BatchSegmentPipeline.from_state_machine_arn(stack, "Imported", MACHINE)
    dashboard = BatchSegmentDashboard(stack, "Many", pipelines=[imported])
    assert dashboard.dashboard.node.path == "Films/Many/Dashboard"
    [found] = Template.from_stack(stack).find_resources(DASHBOARD).values()
    assert "How long jobs work" not in json.dumps(found)


def test_bad_pipelines_are_refused(make_stack):
    stack = make_stack({}, env=cdk.Environment(account="1" * 12, region="eu-west-1"))
    with pytest.raises(ValueError, match="pipelines must be 1 to 50"):
        BatchSegmentDashboard(stack, "None", pipelines=[])
    with pytest.raises(TypeError, match=r"pipelines\[0\] must be a pipeline"):
        BatchSegmentDashboard(stack, "Other", pipelines=[stack])
    imported = BatchSegmentPipeline.from_state_machine_arn(stack, "There", MACHINE)
    with pytest.raises(ValueError, match=r"pipelines\[0\] is in the account"):
        BatchSegmentDashboard(stack, "Elsewhere", pipelines=[imported])
    stack = make_stack({})
    twice = [pipeline_of(stack)] * 2
    with pytest.raises(ValueError, match=r"pipelines\[1\] is .*/Segments once more"):
        BatchSegmentDashboard(stack, "Twice", pipelines=twice)


def test_no_widget_has_more_alarms_than_it_may(make_stack):
    stack = make_stack({})
    pipelines = [pipeline_of(stack, f"P{number}") for number in range(3)]
    every = dict.fromkeys((AlarmSeverity.CRITICAL, AlarmSeverity.WARNING), 1)
    kinds = ("failed_runs", "timed_out_runs", "aborted_runs", "failed_queries")
    for each in pipelines:
        each.add_alarms(**dict.fromkeys(kinds, every))
        for number in range(34):
            each._watch_dead_letters(
                f"Queue{number}", sqs.Queue(each, f"Queue{number}")
            )
    BatchSegmentDashboard(stack, "All", pipelines=pipelines)
    widgets = [each for each in body_of(stack)["widgets"] if each["type"] == "alarm"]
    counts = [len(each["properties"]["alarms"]) for each in widgets]
    assert sum(counts) == sum(len(each.alarms) for each in pipelines) > 100
    assert max(counts) <= 100
    ends = [(each["x"], each["x"] + each["width"], each["y"]) for each in widgets]
    assert ends == [(0, 12, ends[0][2]), (12, 24, ends[0][2])]


def test_a_queue_timeout_of_any_seconds_is_shown(make_stack):
    stack = make_stack({})
    pipeline = BatchSegmentPipeline(
        stack,
        "Segments",
        solution_version=SolutionVersion.latest_of(SOLUTION),
        queue_timeout=cdk.Duration.seconds(90),
    )
    pipeline.add_dashboard()
    waiting = by_title(body_of(stack))["Waiting for a job slot"]
    assert waiting["annotations"]["horizontal"][0]["value"] == 0.75
