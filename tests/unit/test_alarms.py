"""The alarms in the template: what they watch, when, and whom they tell."""

import re
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Template

from cdk_personalize_segments import (
    AlarmSeverity,
    BatchSegmentPipeline,
    RunEvent,
    SolutionVersion,
)
from cdk_personalize_segments.alarms import anchor

CRITICAL, WARNING = AlarmSeverity.CRITICAL, AlarmSeverity.WARNING
HOURS = cdk.Duration.hours
ALARM = "AWS::CloudWatch::Alarm"
ROOT = Path(__file__).parents[2]
GUIDE = "docs/guide/monitoring.md"


def alarms(stack):
    """Give the alarms of a stack by what they watch and how severe they are."""
    found = Template.from_stack(stack).find_resources(ALARM)
    return {
        re.fullmatch(r"SegmentsAlarms(\w+?)[0-9A-F]{8}", logical_id)[1]: resource[
            "Properties"
        ]
        for logical_id, resource in found.items()
    }


def queue(stack, name="Dead"):
    return sqs.Queue(stack, name)


def test_the_defaults(stack, make_pipeline):
    pipeline = make_pipeline()
    pipeline.add_alarms()
    found = alarms(stack)
    assert {
        name: (
            properties.get("MetricName"),
            properties["Threshold"],
            properties["TreatMissingData"],
        )
        for name, properties in found.items()
    } == {
        "FailedRunsCritical": ("ExecutionsFailed", 1, "notBreaching"),
        "TimedOutRunsCritical": ("ExecutionsTimedOut", 1, "notBreaching"),
        "AbortedRunsWarning": ("ExecutionsAborted", 1, "notBreaching"),
        "ThrottledTransitionsWarning": ("ExecutionThrottled", 1, "notBreaching"),
        "FailedQueriesWarning": ("FailedQueries", 1, "notBreaching"),
        "QueuedTooLongWarning": ("WaitingTime", 12 * 3600, "notBreaching"),
        "FunctionErrorsWarning": (None, 3, "notBreaching"),
    }
    for name, properties in found.items():
        assert properties["EvaluationPeriods"] == 1, name
        assert properties["ComparisonOperator"] == ("GreaterThanOrEqualToThreshold"), (
            name
        )
        assert not properties.keys() & {"AlarmName", "AlarmActions", "OKActions"}, name
    assert len(pipeline.alarms) == len(found)


def test_each_is_one_resource(stack, make_pipeline):
    pipeline = make_pipeline()
    other = make_pipeline("Other")
    other.add_alarms()
    resources = Template.from_stack(stack).to_json()["Resources"]
    assert len(resources) == 2 * 24 + len(other.alarms)
    assert pipeline.alarms == []


def test_own_metrics_are_those_of_the_pipeline(stack, make_pipeline):
    make_pipeline().add_alarms()
    failed = alarms(stack)["FailedQueriesWarning"]
    template = Template.from_stack(stack)
    [function] = template.find_resources(
        "AWS::Lambda::Function",
        {"Properties": {"Handler": "segment_tasks.finish.handler"}},
    ).values()
    prefix = function["Properties"]["Environment"]["Variables"]["RUN_PREFIX"]
    assert failed["Namespace"] == "PersonalizeSegments"
    assert failed["Dimensions"] == [{"Name": "Pipeline", "Value": prefix}]
    assert (failed["Statistic"], failed["Period"]) == ("Sum", 300)


def test_every_threshold_can_be_set_for_each_severity(stack, make_pipeline):
    make_pipeline(queue_timeout=HOURS(6)).add_alarms(
        failed_runs={CRITICAL: 3, WARNING: 1},
        timed_out_runs={WARNING: 2},
        aborted_runs={},
        throttled_transitions={},
        failed_queries={CRITICAL: 100},
        function_errors={CRITICAL: 20},
        queued_too_long={CRITICAL: HOURS(5), WARNING: HOURS(1)},
        within=HOURS(1),
    )
    found = alarms(stack)
    assert {name: each["Threshold"] for name, each in found.items()} == {
        "FailedRunsCritical": 3,
        "FailedRunsWarning": 1,
        "TimedOutRunsWarning": 2,
        "FailedQueriesCritical": 100,
        "QueuedTooLongCritical": 5 * 3600,
        "QueuedTooLongWarning": 3600,
        "FunctionErrorsCritical": 20,
    }
    assert found["FailedRunsCritical"]["Period"] == 3600
    assert found["FailedRunsCritical"]["AlarmDescription"].startswith(
        "At least 3 runs of the pipeline Films/Segments failed within 1 hour: see "
    )


def test_a_threshold_is_no_part_of_an_id(make_stack):
    ids = []
    for count in (1, 5):
        stack = make_stack({})
        _pipeline(stack).add_alarms(failed_runs={CRITICAL: count})
        ids.append(list(Template.from_stack(stack).find_resources(ALARM)))
    assert ids[0] == ids[1]


def _pipeline(stack):
    version = SolutionVersion.latest_of(
        "arn:aws:personalize:us-east-1:111122223333:solution/films"
    )
    return BatchSegmentPipeline(stack, "Segments", solution_version=version)


@pytest.mark.parametrize("hours", [1, 26, 168])
def test_no_success(stack, make_pipeline, hours):
    make_pipeline().add_alarms(no_success_within={CRITICAL: HOURS(hours)})
    silent = alarms(stack)["NoSuccessCritical"]
    # Executions also succeed that had nothing to do.
    assert silent["MetricName"] == "SucceededRuns"
    assert silent["Namespace"] == "PersonalizeSegments"
    assert silent["TreatMissingData"] == "breaching"
    assert silent["ComparisonOperator"] == "LessThanThreshold"
    assert (silent["Threshold"], silent["Period"]) == (1, 3600)
    assert silent["EvaluationPeriods"] == hours
    assert "DatapointsToAlarm" not in silent


def test_all_functions_are_watched_also_later_ones(stack, make_pipeline):
    pipeline = make_pipeline()
    pipeline.add_alarms()
    late = lambda_.Function(
        pipeline,
        "Late",
        code=lambda_.Code.from_inline("pass"),
        handler="index.handler",
        runtime=lambda_.Runtime.PYTHON_3_14,
    )
    pipeline._monitored.functions.append(late)
    errors = alarms(stack)["FunctionErrorsWarning"]["Metrics"]
    watched = [
        each["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Ref"]
        for each in errors
        if "MetricStat" in each
    ]
    functions = Template.from_stack(stack).find_resources("AWS::Lambda::Function")
    assert set(watched) == set(functions)
    [total] = [each for each in errors if "Expression" in each]
    assert total["Expression"] == (
        "SUM([errors0,errors1,errors2,errors3,errors4,errors5])"
    )
    assert all(each.get("ReturnData") is False for each in errors if each != total)


@pytest.mark.parametrize("alarms_first", [True, False])
def test_dead_letters_are_watched_in_any_order(stack, make_pipeline, alarms_first):
    pipeline = make_pipeline()
    if alarms_first:
        pipeline.add_alarms()
    pipeline._watch_dead_letters("Uploads", queue(stack, "One"))
    if not alarms_first:
        pipeline.add_alarms()
    pipeline._watch_dead_letters("Schedules", queue(stack, "Two"))
    found = alarms(stack)
    letters = {name: each for name, each in found.items() if "Letters" in name}
    assert list(letters) == [
        "DeadLettersUploadsCritical",
        "DeadLettersSchedulesCritical",
    ]
    for each in letters.values():
        assert each["MetricName"] == "ApproximateNumberOfMessagesVisible"
        assert (each["Statistic"], each["Threshold"]) == ("Maximum", 1)
        assert each["TreatMissingData"] == "notBreaching"
    assert len(pipeline.alarms) == len(found)


@pytest.mark.parametrize("alarms_first", [True, False])
def test_notices_that_are_lost_are_watched_in_any_order(
    stack, make_pipeline, alarms_first
):
    pipeline = make_pipeline()
    if alarms_first:
        pipeline.add_alarms()
    target = targets.SqsQueue(queue(stack))
    pipeline.on_event("Failed", event=RunEvent.FAILED, target=target)
    if not alarms_first:
        pipeline.add_alarms()
    lost = alarms(stack)["LostNoticesWarning"]
    watched = {
        each["MetricStat"]["Metric"]["MetricName"]: (
            each["MetricStat"]["Metric"]["Dimensions"][0]["Name"],
            each["MetricStat"]["Stat"],
        )
        for each in lost["Metrics"]
        if "MetricStat" in each
    }
    assert watched == {
        "AsyncEventsDropped": ("FunctionName", "Sum"),
        "FailedInvocations": ("RuleName", "Sum"),
    }
    assert (lost["Threshold"], lost["TreatMissingData"]) == (1, "notBreaching")
    assert len(pipeline.alarms) == len(alarms(stack))


def test_one_action_for_all(stack, make_pipeline):
    topic = sns.Topic(stack, "OnCall")
    make_pipeline().add_alarms(
        action=actions.SnsAction(topic), ok_action=actions.SnsAction(topic)
    )
    here = [stack.resolve(topic.topic_arn)]
    for name, each in alarms(stack).items():
        assert (each["AlarmActions"], each["OKActions"]) == (here, here), name


def test_actions_by_severity(stack, make_pipeline):
    pager, mail = sns.Topic(stack, "Pager"), sns.Topic(stack, "Mail")
    make_pipeline().add_alarms(
        action={CRITICAL: actions.SnsAction(pager), WARNING: actions.SnsAction(mail)},
        ok_action={CRITICAL: actions.SnsAction(pager)},
    )
    for name, each in alarms(stack).items():
        is_critical = name.endswith("Critical")
        topic = stack.resolve((pager if is_critical else mail).topic_arn)
        assert each["AlarmActions"] == [topic]
        assert each.get("OKActions") == ([topic] if is_critical else None)


def test_later_alarms_have_the_actions_too(stack, make_pipeline):
    topic = sns.Topic(stack, "OnCall")
    pipeline = make_pipeline()
    pipeline.add_alarms(action=actions.SnsAction(topic))
    pipeline._watch_dead_letters("Uploads", queue(stack))
    found = alarms(stack)["DeadLettersUploadsCritical"]
    assert found["AlarmActions"] == [stack.resolve(topic.topic_arn)]


def test_each_description_names_its_section_of_the_run_book(stack, make_pipeline):
    page = (ROOT / GUIDE).read_text(encoding="utf-8").lower()
    pipeline = make_pipeline()
    pipeline.add_alarms(no_success_within={CRITICAL: HOURS(26)})
    pipeline._watch_dead_letters("Uploads", queue(stack))
    for name, each in alarms(stack).items():
        text = each["AlarmDescription"]
        section = re.fullmatch(
            rf"[A-Z][^.]* the pipeline Films/Segments [^.]*: see {re.escape(GUIDE)}"
            r"#([a-z-]+) of cdk-personalize-segments",
            text,
        )
        assert section, text
        assert f"\n### {section[1].replace('-', ' ')}\n" in page, name


def test_the_run_book_may_be_elsewhere(stack, make_pipeline):
    make_pipeline().add_alarms(runbook_url="https://wiki.example.com/segments")
    for name, each in alarms(stack).items():
        section = anchor(re.sub("Critical|Warning", "", name))
        assert each["AlarmDescription"].endswith(
            f": see https://wiki.example.com/segments#{section}"
        )


def test_calling_twice_is_refused(make_pipeline):
    pipeline = make_pipeline()
    pipeline.add_alarms()
    with pytest.raises(
        ValueError, match=r"add_alarms was called for the pipeline Films/Segments"
    ):
        pipeline.add_alarms()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"failed_runs": 1}, TypeError, r"failed_runs must be a mapping by severity"),
        (
            {"failed_runs": {"CRITICAL": 1}},
            TypeError,
            r"like \{AlarmSeverity.CRITICAL: \.\.\.\}",
        ),
        (
            {"failed_runs": {CRITICAL: 0}},
            ValueError,
            r"failed_runs\[AlarmSeverity.CRITICAL\] must be a whole number",
        ),
        ({"dead_letters": {WARNING: True}}, ValueError, "got True"),
        ({"function_errors": {WARNING: 1.5}}, ValueError, "got 1.5"),
        ({"within": cdk.Duration.seconds(90)}, ValueError, "whole minutes"),
        ({"within": cdk.Duration.days(2)}, ValueError, "1 minute to 1 day"),
        ({"within": 5}, TypeError, "within must be a Duration"),
        (
            {"queued_too_long": {WARNING: HOURS(24)}},
            ValueError,
            r"shorter than queue_timeout \(1 day\)",
        ),
        ({"queued_too_long": {WARNING: 60}}, TypeError, "must be a Duration"),
        (
            {"queued_too_long": {WARNING: cdk.Duration.millis(1500)}},
            ValueError,
            "whole seconds",
        ),
        (
            {"no_success_within": {CRITICAL: cdk.Duration.minutes(90)}},
            ValueError,
            "whole hours, from 1 hour to 7 days",
        ),
        (
            {"no_success_within": {CRITICAL: cdk.Duration.days(8)}},
            ValueError,
            "got 8 days",
        ),
        (
            {
                "no_success_within": {
                    CRITICAL: cdk.Duration.hours(cdk.Token.as_number({"Ref": "A"}))
                }
            },
            ValueError,
            "known at synth",
        ),
        ({"action": "arn:aws:sns:us-east-1:111122223333:a"}, TypeError, "SnsAction"),
        ({"action": {CRITICAL: None}}, TypeError, r"action\[AlarmSeverity.CRITICAL\]"),
        ({"ok_action": {"all": 1}}, TypeError, "ok_action must be a mapping"),
        ({"runbook_url": "wiki"}, ValueError, "address of a page"),
        ({"runbook_url": "https://a.example/#b"}, ValueError, "without an anchor"),
    ],
)
def test_bad_values_are_refused_at_synth(refusing, given, error, message):
    with pytest.raises(error, match=message):
        refusing.add_alarms(**given)


@pytest.fixture(scope="module")
def refusing():
    """A pipeline whose calls are refused, and leave nothing behind."""
    pipeline = _pipeline(cdk.Stack(cdk.App(), "Films"))
    yield pipeline
    pipeline.add_alarms()
