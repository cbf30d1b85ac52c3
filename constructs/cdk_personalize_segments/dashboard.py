"""Dashboards: what runs, what came of it, and where it hurts, at a glance.

Green is what went well, red what failed, grey what somebody ended, orange what waits;
what is neither good nor bad is blue or purple.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import aws_cdk as cdk
import jsii
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_personalize_segments import _validation, log_queries
from cdk_personalize_segments._runtime import consoles
from cdk_personalize_segments._service_limits import (
    MAX_ALARMS_A_WIDGET,
    MAX_LOG_GROUPS_A_QUERY,
)
from cdk_personalize_segments.log_queries import Question
from cdk_personalize_segments.monitored import NAMESPACE, Monitored

if TYPE_CHECKING:
    from cdk_personalize_segments.pipeline import (
        BatchSegmentPipeline,
        ImportedBatchSegmentPipeline,
    )

DEFAULT_INTERVAL: Final = cdk.Duration.days(7)
_WIDTH: Final = 24
_GREEN: Final = cloudwatch.Color.GREEN
_RED: Final = cloudwatch.Color.RED
_BROWN: Final = cloudwatch.Color.BROWN
_GREY: Final = cloudwatch.Color.GREY
_ORANGE: Final = cloudwatch.Color.ORANGE
_BLUE: Final = cloudwatch.Color.BLUE
_PURPLE: Final = cloudwatch.Color.PURPLE
_NOW: Final = (
    "Now",
    "What runs or waits for one of the account's job slots, since when, and what came "
    "of the last runs.",
)
_FAILURES: Final = (
    "Failures",
    "How runs end, and why some fail: the page of errors says what to do about each "
    "name.",
)
_TIME: Final = (
    "Time",
    "How long runs wait and jobs work, against the average of the time that is shown.",
)
_COSTS: Final = (
    "Cost drivers",
    "What the bill grows with: users in segments, data in S3, function time and state "
    "transitions.",
)

_Alarms = Callable[[], Sequence[cloudwatch.IAlarm]]


def define_dashboard(
    scope: Construct,
    construct_id: str,
    *,
    monitored: Monitored,
    alarms: _Alarms,
    default_interval: cdk.Duration,
) -> cloudwatch.Dashboard:
    """Define the dashboard of one pipeline.

    Args:
        scope: The pipeline.
        construct_id: The construct id.
        monitored: What is shown.
        alarms: Gives its alarms, once all are defined.
        default_interval: Which time is shown at first.
    """
    one = [monitored]
    return cloudwatch.Dashboard(
        scope,
        construct_id,
        default_interval=default_interval,
        widgets=[
            [_title(monitored)],
            [_numbers(monitored, 15, 4), _alarm_states(alarms, 9, 4)],
            [_heading(*_NOW)],
            [_logs(log_queries.running(), one, 14, 6), _waits(one, 10, 6)],
            [_logs(log_queries.last_results(), one, 24, 7)],
            [_heading(*_FAILURES)],
            [
                _ends(monitored, 8, 6),
                _errors_by_name(one, 8, 6),
                _queries(monitored, 8, 6),
            ],
            [
                _logs(log_queries.recent_failures(), one, 14, 6),
                _calls(monitored, 10, 6),
            ],
            [_heading(*_TIME)],
            [
                _durations(monitored, 12, 6),
                _logs(log_queries.slowest_runs(), one, 12, 6),
            ],
            [_heading(*_COSTS)],
            [
                _users(one, 6, 6),
                _data(monitored, 6, 6),
                _function_time(one, 6, 6),
                _logs(log_queries.TRANSITIONS_BY_DAY, one, 6, 6, _BARS),
            ],
        ],
    )


def define_dashboard_of_many(
    scope: Construct,
    construct_id: str,
    *,
    machines: Mapping[str, sfn.IStateMachine],
    monitored: Sequence[Monitored],
    alarms: _Alarms,
    default_interval: cdk.Duration,
) -> cloudwatch.Dashboard:
    """Define the dashboard of many pipelines.

    Args:
        scope: Where it is defined.
        construct_id: The construct id.
        machines: The state machines, by what the pipelines are called.
        monitored: Those pipelines of which all is known.
        alarms: Gives their alarms, once all are defined.
        default_interval: Which time is shown at first.
    """
    dashboard = cloudwatch.Dashboard(
        scope,
        construct_id,
        default_interval=default_interval,
        widgets=[
            [_heading("Batch segment pipelines", "What to look at first.")],
            [_alarm_states(alarms, _WIDTH, 4)],
            [
                _ends_by_pipeline(machines, "succeeded", "Runs that succeeded", 12, 6),
                _ends_by_pipeline(machines, "failed", "Runs that failed", 12, 6),
            ],
        ],
    )
    if monitored:
        dashboard.add_widgets(_heading(*_NOW))
        dashboard.add_widgets(
            _logs(log_queries.running(of_many=True), monitored, 14, 6),
            _waits(monitored, 10, 6),
        )
        dashboard.add_widgets(
            _logs(log_queries.last_results(of_many=True), monitored, 24, 7)
        )
        dashboard.add_widgets(_heading(*_FAILURES))
        dashboard.add_widgets(
            _errors_by_name(monitored, 12, 6),
            _each(monitored, "Failed queries", "Queries", "FailedQueries", 12, 6, _RED),
        )
        dashboard.add_widgets(
            _logs(log_queries.recent_failures(of_many=True), monitored, _WIDTH, 6)
        )
        dashboard.add_widgets(_heading(*_TIME))
        dashboard.add_widgets(
            _times_by_pipeline(monitored, "JobTime", "How long jobs work", 12, 6),
            _logs(log_queries.slowest_runs(of_many=True), monitored, 12, 6),
        )
        dashboard.add_widgets(_heading(*_COSTS))
        dashboard.add_widgets(
            _users(monitored, 8, 6),
            _function_time(monitored, 8, 6),
            _logs(log_queries.TRANSITIONS_BY_DAY, monitored, 8, 6, _BARS),
        )
    return dashboard


_TABLE: Final = cloudwatch.LogQueryVisualizationType.TABLE
_BARS: Final = cloudwatch.LogQueryVisualizationType.BAR


# --- Text ---


def _heading(title: str, sentence: str) -> cloudwatch.IWidget:
    return cloudwatch.TextWidget(
        markdown=f"## {title}\n{sentence}",
        width=_WIDTH,
        height=2,
        background=cloudwatch.TextWidgetBackground.TRANSPARENT,
    )


def _title(monitored: Monitored) -> cloudwatch.IWidget:
    region = cdk.Stack.of(monitored.state_machine).region
    console = consoles.address(region)
    runs = (
        f"{console}/states/home?region={region}#/statemachines/view/"
        f"{monitored.state_machine.state_machine_arn}"
    )
    results = (
        f"{console}/s3/buckets/{monitored.results_bucket_name}?region={region}"
        f"&prefix={monitored.results_prefix}"
    )
    return cloudwatch.TextWidget(
        markdown=(
            f"# {monitored.name}\nBatch segments with Amazon Personalize; the names of "
            f"its runs start with `{monitored.run_prefix}`. "
            f"[Runs]({runs}) · [Results]({results})"
        ),
        width=_WIDTH,
        height=2,
        background=cloudwatch.TextWidgetBackground.TRANSPARENT,
    )


# --- Alarms and numbers ---


def _alarm_states(alarms: _Alarms, width: int, height: int) -> cloudwatch.IWidget:
    """Show the alarms, also those that are defined after the dashboard."""

    def make() -> cloudwatch.IWidget:
        found = list(alarms())
        if found:
            groups = [
                found[start : start + MAX_ALARMS_A_WIDGET]
                for start in range(0, len(found), MAX_ALARMS_A_WIDGET)
            ]
            row = cloudwatch.Row(
                *(
                    cloudwatch.AlarmStatusWidget(
                        title="Alarms",
                        alarms=group,
                        width=width // len(groups),
                        height=height,
                    )
                    for group in groups
                )
            )
            return cast("cloudwatch.IWidget", row)
        return cloudwatch.TextWidget(
            markdown="### Alarms\nThere are none; `add_alarms()` defines them.",
            width=width,
            height=height,
        )

    return _late(width, height, make)


_ENDS: Final = (
    ("Succeeded", "metric_succeeded", _GREEN),
    ("Failed", "metric_failed", _RED),
    ("Timed out", "metric_timed_out", _BROWN),
    ("Aborted", "metric_aborted", _GREY),
)


def _end(
    machine: sfn.IStateMachine,
    metric: str,
    **options: Any,  # noqa: ANN401
) -> cloudwatch.Metric:
    counted: cloudwatch.Metric = getattr(machine, metric)(statistic="Sum", **options)
    return counted


def _numbers(monitored: Monitored, width: int, height: int) -> cloudwatch.IWidget:
    runs = [
        _end(monitored.state_machine, metric, label=label, color=color)
        for label, metric, color in _ENDS
    ]
    own = [
        monitored.metric(name, statistic="Sum", label=label, color=color)
        for name, label, color in (
            ("Queries", "Queries", _BLUE),
            ("FailedQueries", "Failed queries", _RED),
            ("Users", "Users", _PURPLE),
        )
    ]
    return cloudwatch.SingleValueWidget(
        title="Runs and their results in the time that is shown",
        metrics=[*runs, *own],
        set_period_to_time_range=True,
        width=width,
        height=height,
    )


# --- Graphs ---


def _graph(
    title: str,
    unit: str,
    metrics: Sequence[cloudwatch.IMetric],
    width: int,
    height: int,
    **options: Any,  # noqa: ANN401
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title,
        left=list(metrics),
        left_y_axis=cloudwatch.YAxisProps(label=unit, min=0, show_units=False),
        width=width,
        height=height,
        **options,
    )


def _math(
    expression: str,
    label: str,
    color: str | None = None,
    /,
    **metrics: cloudwatch.IMetric,
) -> cloudwatch.MathExpression:
    return cloudwatch.MathExpression(
        expression=expression, label=label, color=color, using_metrics=metrics
    )


def _ends(monitored: Monitored, width: int, height: int) -> cloudwatch.IWidget:
    counted = [
        _math(
            f"FILL(ends{index}, 0)",
            label,
            color,
            **{f"ends{index}": _end(monitored.state_machine, metric)},
        )
        for index, (label, metric, color) in enumerate(_ENDS)
    ]
    return _graph("How runs end", "Runs", counted, width, height, stacked=True)


def _ends_by_pipeline(
    machines: Mapping[str, sfn.IStateMachine],
    end: str,
    title: str,
    width: int,
    height: int,
) -> cloudwatch.IWidget:
    counted = [
        _math(
            f"FILL({end}{index}, 0)",
            name,
            **{f"{end}{index}": _end(machine, f"metric_{end}")},
        )
        for index, (name, machine) in enumerate(machines.items())
    ]
    return _graph(title, "Runs", counted, width, height, stacked=True)


def _errors_by_name(
    monitored: Sequence[Monitored], width: int, height: int
) -> cloudwatch.IWidget:
    which = "" if len(monitored) == 1 else "${PROP('Dim.Pipeline')} "
    searches = [
        cloudwatch.MathExpression(
            expression=(
                f'SEARCH(\'{{{NAMESPACE},Pipeline,Error}} MetricName="FailedRuns" '
                f"Pipeline=\"{each.run_prefix}\"', 'Sum')"
            ),
            label=f"{which}${{PROP('Dim.Error')}}",
            color=_RED if len(monitored) == 1 else None,
            using_metrics={},
        )
        for each in monitored
    ]
    return _graph(
        "Errors by name",
        "Runs",
        searches,
        width,
        height,
        view=cloudwatch.GraphWidgetView.BAR,
        set_period_to_time_range=True,
    )


def _queries(monitored: Monitored, width: int, height: int) -> cloudwatch.IWidget:
    queries = monitored.metric("Queries", statistic="Sum")
    failed = monitored.metric("FailedQueries", statistic="Sum")
    return _graph(
        "Queries",
        "Queries",
        [
            _math(
                "FILL(all, 0) - FILL(refused, 0)",
                "With users",
                _GREEN,
                all=queries,
                refused=failed,
            ),
            _math("FILL(refused, 0)", "Failed", _RED, refused=failed),
        ],
        width,
        height,
        stacked=True,
    )


def _waits(
    monitored: Sequence[Monitored], width: int, height: int
) -> cloudwatch.IWidget:
    """Show how long runs wait, against half of what they may."""
    half = min(each.queue_timeout.to_seconds() for each in monitored) / 120
    return _graph(
        "Waiting for a job slot",
        "Minutes",
        [
            _math(
                f"wait{index} / 60",
                "Longest wait" if len(monitored) == 1 else each.name,
                _ORANGE if len(monitored) == 1 else None,
                **{f"wait{index}": each.metric("WaitingTime", statistic="Maximum")},
            )
            for index, each in enumerate(monitored)
        ],
        width,
        height,
        left_annotations=[
            cloudwatch.HorizontalAnnotation(
                value=half, label="Half of queue_timeout", color=_RED
            )
        ],
    )


def _calls(monitored: Monitored, width: int, height: int) -> cloudwatch.IWidget:
    """Show what fails in functions and queues, whenever those are defined."""

    def make() -> cloudwatch.IWidget:
        errors, throttles = (
            _sum_of(monitored.functions, kind, f"metric_{kind}")
            for kind in ("errors", "throttles")
        )
        letters = [
            queue.metric_approximate_number_of_messages_visible(
                statistic="Maximum", label=f"Dead letters: {of.lower()}", color=_BROWN
            )
            for of, queue in monitored.dead_letter_queues.items()
        ]
        return _graph(
            "What fails in functions and queues",
            "Calls or messages",
            [
                _math(errors[0], "Calls that fail", _RED, **errors[1]),
                _math(
                    throttles[0], "Calls that are throttled", _ORANGE, **throttles[1]
                ),
                *letters,
            ],
            width,
            height,
        )

    return _late(width, height, make)


def _sum_of(
    functions: Sequence[lambda_.Function], kind: str, metric: str
) -> tuple[str, dict[str, cloudwatch.IMetric]]:
    metrics = {
        f"{kind}{index}": getattr(each, metric)(statistic="Sum")
        for index, each in enumerate(functions)
    }
    return f"SUM([{', '.join(metrics)}])", metrics


def _durations(monitored: Monitored, width: int, height: int) -> cloudwatch.IWidget:
    job = monitored.metric("JobTime", statistic="Average")
    return _graph(
        "How long runs take",
        "Minutes",
        [
            _math(
                "queueing / 60",
                "Waited for a job slot",
                _ORANGE,
                queueing=monitored.metric("QueueTime", statistic="Average"),
            ),
            _math("working / 60", "Job worked", _BLUE, working=job),
            _math(
                "TIME_SERIES(AVG(working)) / 60", "Job, on average", _GREY, working=job
            ),
        ],
        width,
        height,
    )


def _times_by_pipeline(
    monitored: Sequence[Monitored], name: str, title: str, width: int, height: int
) -> cloudwatch.IWidget:
    times = [
        _math(
            f"time{index} / 60",
            each.name,
            **{f"time{index}": each.metric(name, statistic="Average")},
        )
        for index, each in enumerate(monitored)
    ]
    return _graph(title, "Minutes", times, width, height)


def _each(
    monitored: Sequence[Monitored],
    title: str,
    unit: str,
    name: str,
    width: int,
    height: int,
    color: str = _PURPLE,
) -> cloudwatch.IWidget:
    """Show the sums of a metric, of each pipeline."""
    sums = [
        _math(
            f"FILL({name.lower()}{index}, 0)",
            title if len(monitored) == 1 else each.name,
            color if len(monitored) == 1 else None,
            **{f"{name.lower()}{index}": each.metric(name, statistic="Sum")},
        )
        for index, each in enumerate(monitored)
    ]
    return _graph(title, unit, sums, width, height, stacked=True)


def _users(
    monitored: Sequence[Monitored], width: int, height: int
) -> cloudwatch.IWidget:
    return _each(monitored, "Users in segments", "Users", "Users", width, height)


def _data(monitored: Monitored, width: int, height: int) -> cloudwatch.IWidget:
    sizes = [
        _math(
            f"FILL({name}, 0) / 1048576",
            label,
            color,
            **{name: monitored.metric(metric, statistic="Sum")},
        )
        for name, metric, label, color in (
            ("read", "InputBytes", "Read by jobs", _BLUE),
            ("written", "OutputBytes", "Written by jobs", _PURPLE),
        )
    ]
    return _graph("Data", "MiB", sizes, width, height, stacked=True)


def _function_time(
    monitored: Sequence[Monitored], width: int, height: int
) -> cloudwatch.IWidget:
    """Show what Lambda charges for: time, by memory."""

    def make() -> cloudwatch.IWidget:
        lines = []
        for which, each in enumerate(monitored):
            times, terms = {}, []
            for index, function in enumerate(each.functions):
                resource = cast("lambda_.CfnFunction", function.node.default_child)
                key = f"time{which}x{index}"
                times[key] = function.metric_duration(statistic="Sum")
                terms.append(f"FILL({key}, 0) * {resource.memory_size}")
            lines.append(
                _math(
                    # Milliseconds and MB, of which 1024 are a GB.
                    f"({' + '.join(terms)}) / 1024000",
                    "Functions" if len(monitored) == 1 else each.name,
                    _BLUE if len(monitored) == 1 else None,
                    **times,
                )
            )
        return _graph("Function time", "GB-seconds", lines, width, height, stacked=True)

    return _late(width, height, make)


# --- Logs ---


def _logs(
    question: Question,
    monitored: Sequence[Monitored],
    width: int,
    height: int,
    view: cloudwatch.LogQueryVisualizationType = _TABLE,
) -> cloudwatch.IWidget:
    return cloudwatch.LogQueryWidget(
        title=question.title,
        log_group_names=[
            log_queries.log_group(each, question.source) for each in monitored
        ],
        query_lines=list(question.lines),
        view=view,
        width=width,
        height=height,
    )


def _late(
    width: int, height: int, make: Callable[[], cloudwatch.IWidget]
) -> cloudwatch.IWidget:
    return cast("cloudwatch.IWidget", _Late(width, height, make))


class BatchSegmentDashboard(Construct):
    """One dashboard for many pipelines, also those of other stacks of the app.

    Of a pipeline that is imported by the ARN of its state machine, it shows how runs
    end: all else goes by names that the ARN does not tell.

    Examples:
        >>> import aws_cdk as cdk
        >>> stack = cdk.Stack(cdk.App(), "Films")
        >>> solution = "arn:aws:personalize:us-east-1:111122223333:solution/"
        >>> pipelines = [
        ...     BatchSegmentPipeline(
        ...         stack,
        ...         name,
        ...         solution_version=SolutionVersion.latest_of(solution + name),
        ...     )
        ...     for name in ("films", "series")
        ... ]
        >>> dashboard = BatchSegmentDashboard(stack, "All", pipelines=pipelines)
        >>> dashboard.dashboard.node.path
        'Films/All/Dashboard'
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        pipelines: Sequence["BatchSegmentPipeline | ImportedBatchSegmentPipeline"],
        default_interval: cdk.Duration | None = None,
    ) -> None:
        """Define the dashboard.

        Args:
            scope: Where it is defined.
            construct_id: Its construct id.
            pipelines: The pipelines, 1 to 50, of one account and Region.
            default_interval: Which time is shown at first. Default: 7 days.

        Raises:
            TypeError: One of the pipelines is something else.
            ValueError: There are too few or too many, or one is elsewhere or twice.
        """
        if not 1 <= len(pipelines) <= MAX_LOG_GROUPS_A_QUERY:
            raise ValueError(
                f"pipelines must be 1 to {MAX_LOG_GROUPS_A_QUERY}, since a query of "
                f"logs takes no more log groups, got {len(pipelines)}"
            )
        stack = cdk.Stack.of(scope)
        for index, each in enumerate(pipelines):
            name = f"pipelines[{index}]"
            if not hasattr(each, "_monitored"):
                raise TypeError(f"{name} must be a pipeline, got {each!r}")
            if each in pipelines[:index]:
                raise ValueError(
                    f"{name} is {each.node.path} once more; name each pipeline once"
                )
            env = each.state_machine.env
            _validation.check_same_place(
                name,
                env.account,
                env.region,
                stack,
                beside="the dashboard",
                who="a query of logs",
            )
        super().__init__(scope, construct_id)
        self._dashboard = define_dashboard_of_many(
            self,
            "Dashboard",
            machines={each.node.path: each.state_machine for each in pipelines},
            monitored=[each._monitored for each in pipelines if each._monitored],
            alarms=lambda: [alarm for each in pipelines for alarm in each.alarms],
            default_interval=default_interval or DEFAULT_INTERVAL,
        )

    @property
    def dashboard(self) -> cloudwatch.Dashboard:
        """The dashboard, to which widgets can be added."""
        return self._dashboard


@jsii.implements(cloudwatch.IWidget)
class _Late:
    """A widget of what is known at the end of synth only."""

    def __init__(
        self, width: int, height: int, make: Callable[[], cloudwatch.IWidget]
    ) -> None:
        self._width = width
        self._height = height
        self._make = make
        self._at = (0, 0)

    @property
    def width(self) -> int:
        """How wide it is."""
        return self._width

    @property
    def height(self) -> int:
        """How high it is."""
        return self._height

    def position(self, x: int, y: int) -> None:
        """Put it somewhere."""
        self._at = (x, y)

    def to_json(self) -> list[Any]:
        """Give it as the body of a dashboard has it."""
        widget = self._make()
        widget.position(*self._at)
        return widget.to_json()
