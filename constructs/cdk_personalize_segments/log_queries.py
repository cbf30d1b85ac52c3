"""What people ask the logs of a pipeline, in the language of CloudWatch Logs Insights.

The functions log JSON lines with `pipeline`, `execution`, `run` and `job`; the state
machine logs each event of each execution.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_personalize_segments.monitored import Monitored

FOLDER: Final = "PersonalizeSegments"
RUN_PLACEHOLDER: Final = "NAME-OF-THE-RUN"


class Source(enum.Enum):
    """Where a question is answered."""

    FUNCTIONS = "functions"
    STATE_MACHINE = "state machine"


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question, and how it is asked.

    Attributes:
        construct_id: The construct id of the saved query.
        title: The question.
        source: Which logs know.
        lines: The commands of the query.
    """

    construct_id: str
    title: str
    source: Source
    lines: Sequence[str]

    @property
    def text(self) -> str:
        """The query."""
        return "\n| ".join(self.lines)


# The last of its parts is the execution's name.
_EXECUTION: Final = (
    'parse execution_arn "*:*:*:*:*:*:*:*" as '
    "arn, partition, service, region, account, resource, machine, execution"
)
# Sums are of numbers: what becomes of a timestamp there is not documented.
_AT: Final = "fields toMillis(@timestamp) as at"
_ENDS: Final = (
    "ExecutionSucceeded",
    "ExecutionFailed",
    "ExecutionTimedOut",
    "ExecutionAborted",
)


def running(*, of_many: bool = False) -> Question:
    """Ask what runs now.

    Args:
        of_many: Whether it is asked of many pipelines.
    """
    # The name of a state machine tells its pipeline.
    execution = "machine, execution" if of_many else "execution"
    return Question(
        construct_id="RunningNow",
        title="What runs now, since when, and at which step",
        source=Source.STATE_MACHINE,
        lines=(
            "filter type like /StateEntered$/ or type like /^Execution/",
            _EXECUTION,
            _AT,
            # An execution that is redriven has one end less.
            "fields "
            + " + ".join(f'strcontains(type, "{each}")' for each in _ENDS)
            + ' - strcontains(type, "ExecutionRedriven") as ended',
            "stats min(at) as first, max(at) as last, latest(details.name) as step, "
            f"sum(ended) as ends by {execution}",
            "filter ends < 1",
            "sort first asc",
            "fields fromMillis(first) as since, fromMillis(last) as stepSince",
            f"display since, {execution}, step, stepSince",
        ),
    )


def last_results(*, of_many: bool = False) -> Question:
    """Ask what came of the last runs.

    Args:
        of_many: Whether it is asked of many pipelines.
    """
    pipeline = "pipeline, " if of_many else ""
    return Question(
        construct_id="LastResults",
        title="The last runs and their results",
        source=Source.FUNCTIONS,
        lines=(
            'filter message in ["Run succeeded", "Run failed"]',
            f"fields @timestamp, {pipeline}run, message, queries, failedQueries, "
            "users, error",
            "sort @timestamp desc",
            "limit 20",
        ),
    )


def recent_failures(*, of_many: bool = False) -> Question:
    """Ask for the last runs that failed.

    Args:
        of_many: Whether it is asked of many pipelines.
    """
    pipeline = "pipeline, " if of_many else ""
    return Question(
        construct_id="RecentFailures",
        title="The last failures",
        source=Source.FUNCTIONS,
        lines=(
            'filter message = "Run failed"',
            f"fields @timestamp, {pipeline}error, run",
            "sort @timestamp desc",
            "limit 20",
        ),
    )


def slowest_runs(*, of_many: bool = False) -> Question:
    """Ask which runs took longest.

    Args:
        of_many: Whether it is asked of many pipelines.
    """
    # Executions of two pipelines may have the same name.
    execution = "machine, execution" if of_many else "execution"
    return Question(
        construct_id="SlowestRuns",
        title="The slowest runs",
        source=Source.STATE_MACHINE,
        lines=(
            _EXECUTION,
            _AT,
            "stats min(at) as first, (max(at) - min(at)) / 60000 as minutes by "
            f"{execution}",
            "sort minutes desc",
            "limit 20",
            "fields fromMillis(first) as started",
            f"display started, {execution}, minutes",
        ),
    )


ERRORS_BY_NAME: Final = Question(
    construct_id="ErrorsByName",
    title="Errors by name",
    source=Source.FUNCTIONS,
    lines=(
        'filter message = "Run failed"',
        _AT,
        "stats count(*) as runs, max(at) as newest by error",
        "sort runs desc",
        "fields fromMillis(newest) as last",
        "display error, runs, last",
    ),
)
ENDED_OUTSIDE: Final = Question(
    construct_id="AbortedOrTimedOut",
    title="Runs that were aborted or timed out",
    source=Source.STATE_MACHINE,
    lines=(
        'filter type in ["ExecutionAborted", "ExecutionTimedOut"]',
        _EXECUTION,
        "fields @timestamp, type, execution",
        "sort @timestamp desc",
        "limit 20",
    ),
)
ONE_RUN: Final = Question(
    construct_id="OneRun",
    title="All about one run",
    source=Source.FUNCTIONS,
    lines=(
        f'filter run = "{RUN_PLACEHOLDER}" or job = "{RUN_PLACEHOLDER}"',
        "fields @timestamp, level, message, outcome, error, job, execution",
        "sort @timestamp asc",
        "limit 1000",
    ),
)
WAITS: Final = Question(
    construct_id="WaitsForJobSlots",
    title="Which runs waited for a job slot, and how often they asked",
    source=Source.FUNCTIONS,
    lines=(
        'filter message = "Job asked for" and outcome = "wait"',
        _AT,
        "stats min(at) as first, max(at) as last, count(*) as asked by run",
        "sort first desc",
        "limit 20",
        "fields fromMillis(first) as since, fromMillis(last) as until",
        "display run, since, until, asked",
    ),
)
BROKEN_CALLS: Final = Question(
    construct_id="BrokenCalls",
    title="Calls of functions that failed, with what they printed",
    source=Source.FUNCTIONS,
    lines=(
        'filter level in ["ERROR", "CRITICAL", "FATAL"] '
        'or record.status in ["error", "failure", "timeout"]',
        "fields @timestamp, message, errorType, errorMessage, record.status, @message",
        "sort @timestamp desc",
        "limit 50",
    ),
)
TRANSITIONS: Final = Question(
    construct_id="TransitionsByRun",
    title="State transitions by run, which Step Functions charges for",
    source=Source.STATE_MACHINE,
    lines=(
        "filter type like /StateEntered$/",
        _EXECUTION,
        "stats count(*) as transitions by execution",
        "sort transitions desc",
        "limit 20",
    ),
)
TRANSITIONS_BY_DAY: Final = Question(
    construct_id="TransitionsByDay",
    title="State transitions by day",
    source=Source.STATE_MACHINE,
    lines=(
        "filter type like /StateEntered$/",
        "stats count(*) as transitions by bin(1d)",
    ),
)
SAVED: Final = (
    ONE_RUN,
    running(),
    last_results(),
    recent_failures(),
    ERRORS_BY_NAME,
    ENDED_OUTSIDE,
    slowest_runs(),
    WAITS,
    BROKEN_CALLS,
    TRANSITIONS,
)


class LogQueries(Construct):
    """The questions, saved for the console of CloudWatch Logs Insights."""

    def __init__(
        self, scope: Construct, construct_id: str, *, monitored: Monitored
    ) -> None:
        """Save them, in a folder of the pipeline.

        Args:
            scope: The pipeline.
            construct_id: The construct id.
            monitored: What the questions are about.
        """
        super().__init__(scope, construct_id)
        for question in SAVED:
            logs.CfnQueryDefinition(
                self,
                question.construct_id,
                # The one name that somebody sees, which CloudFormation does not make.
                name=f"{FOLDER}/{monitored.run_prefix}/{question.title}",
                query_string=question.text,
                log_group_names=[log_group(monitored, question.source)],
            )


def log_group(monitored: Monitored, source: Source) -> str:
    """Give the name of the log group that answers.

    Args:
        monitored: The pipeline.
        source: Which of its logs know.
    """
    groups: Mapping[Source, logs.ILogGroup] = {
        Source.FUNCTIONS: monitored.function_logs,
        Source.STATE_MACHINE: monitored.state_machine_logs,
    }
    return groups[source].log_group_name
