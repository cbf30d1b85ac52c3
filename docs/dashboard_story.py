"""A week of a pipeline in local AWS, for the picture of its dashboard.

As a script it is the app that is deployed.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import aws_cdk as cdk

from cdk_personalize_segments import (
    AlarmSeverity,
    BatchSegmentPipeline,
    SolutionVersion,
)
from cdk_personalize_segments.local import LocalAws
from cdk_personalize_segments.local.personalize.jobs import JobTiming

ROOT: Final = Path(__file__).resolve().parents[1]
CATALOGUE: Final = ROOT / "examples" / "catalogue"
STACK: Final = "Films"
BEGINS: Final = datetime(2031, 5, 5, 0, 0, tzinfo=UTC)
_SOLUTION: Final = "arn:aws:personalize:us-east-1:123456789012:solution/films"
_HOUR: Final = timedelta(hours=1)
_PATIENCE: Final = 120
# What becomes of the run of an hour of a day; the others succeed.
_FATES: Final = {
    (1, 12): "bad lines",
    (2, 18): "failed job",
    (3, 6): "failed queries",
    (3, 12): "bad lines",
    (4, 6): "waits",
    (5, 6): "aborted",
    (5, 12): "no slot",
    (6, 6): "failed queries",
    (6, 12): "failed job",
}
_HOURS: Final = (6, 12, 18)
# Minutes that jobs work, in turn.
_WORK: Final = (48, 52, 61, 45, 57, 66, 50, 43)


def define(app: cdk.App) -> None:
    """Define the stack.

    Args:
        app: The app.
    """
    stack = cdk.Stack(app, STACK)
    pipeline = BatchSegmentPipeline(
        stack,
        "Segments",
        solution_version=SolutionVersion.latest_of(_SOLUTION),
        queue_timeout=cdk.Duration.hours(5),
        job_timeout=cdk.Duration.hours(4),
        num_results=100,
    )
    a_day = {AlarmSeverity.CRITICAL: cdk.Duration.days(1)}
    pipeline.add_alarms(no_success_within=a_day)
    pipeline.add_dashboard()
    pipeline.add_log_queries()
    for name, value in (
        ("Machine", pipeline.state_machine.state_machine_arn),
        ("Bucket", pipeline.input_bucket.bucket_name),
    ):
        cdk.CfnOutput(stack, name, value=value)


@contextmanager
def played() -> Iterator[LocalAws]:
    """Play the week, and hold the clock at its end, while a run waits for a job slot.

    Yields:
        The local AWS, in which the week was.
    """
    with ExitStack() as until_end, LocalAws(begins=BEGINS, in_process=True) as aws:
        _Story(aws).play(until_end)
        yield aws


class _Story:
    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        aws.seed(CATALOGUE, name="films")
        app = f"{sys.executable} {Path(__file__).resolve()}"
        outputs = aws.deploy(app=app, cwd=ROOT)[STACK]
        self._bucket = outputs["Bucket"]
        self._machine = outputs["Machine"]

    def play(self, until_end: ExitStack) -> None:
        runs = 0
        for day in range(7):
            for hour in _HOURS:
                self._until(timedelta(days=day, hours=hour))
                self._run(_FATES.get((day, hour), "succeeds"), runs)
                runs += 1
        self._work_and_wait(until_end)

    def _until(self, since_begin: timedelta) -> None:
        self._aws.clock.advance_to(BEGINS + since_begin)

    def _run(self, fate: str, number: int) -> None:
        personalize = self._aws.personalize
        personalize.timing = JobTiming(
            pending=timedelta(minutes=2 + number % 3),
            working=timedelta(minutes=_WORK[number % len(_WORK)]),
        )
        items = [
            f"film-{1 + (7 * number + each) % 80:03}" for each in range(24 + number)
        ]
        lines = [f'{{"itemId": "{each}"}}' for each in items]
        personalize.query_errors.clear()
        if fate == "bad lines":
            lines[5] = '{"item": "film-006"}'
        elif fate == "failed job":
            personalize.fail_next_job("An internal error occurred. Try again.")
        elif fate == "failed queries":
            error = "The item has too few interactions."
            personalize.query_errors.update(dict.fromkeys(items[:3], error))
        elif fate == "waits":
            personalize.occupy(5, for_=2 * _HOUR)
        elif fate == "no slot":
            personalize.occupy(5, for_=5.5 * _HOUR)
        self._upload(lines)
        if fate == "aborted":
            self._abort()
        else:
            self._aws.run(self._machine, {})

    def _upload(self, lines: list[str]) -> None:
        self._aws.client("s3").put_object(
            Bucket=self._bucket,
            Key="queries/films.jsonl",
            Body="\n".join(lines).encode(),
        )

    def _start(self) -> str:
        started = self._aws.client("stepfunctions").start_execution(
            stateMachineArn=self._machine
        )
        return str(started["executionArn"])

    def _abort(self) -> None:
        with ExitStack() as pause:
            reached = self._pause(timedelta(minutes=30), pause)
            execution = self._start()
            reached.wait(_PATIENCE)
            self._aws.client("stepfunctions").stop_execution(executionArn=execution)

    def _work_and_wait(self, until_end: ExitStack) -> None:
        """Have one run work and another one wait, at the end of the week."""
        self._aws.personalize.timing = JobTiming(working=3.5 * _HOUR)
        self._aws.personalize.occupy(4, for_=6 * _HOUR)
        with ExitStack() as pause:
            reached = self._pause(timedelta(minutes=10), pause)
            self._start()
            reached.wait(_PATIENCE)
            end = self._pause(3 * _HOUR, until_end)
            self._start()
        end.wait(_PATIENCE)

    def _pause(self, after: timedelta, until: ExitStack) -> threading.Event:
        """Hold the clock at an instant, until something ends."""
        reached = threading.Event()

        def pause() -> None:
            until.enter_context(self._aws.clock.busy())
            reached.set()

        self._aws.clock.at(self._aws.clock.now() + after, pause)
        return reached


if __name__ == "__main__":
    app = cdk.App()
    define(app)
    app.synth()
