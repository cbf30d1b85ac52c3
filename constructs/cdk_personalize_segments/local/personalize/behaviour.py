"""How tests make the emulated Personalize behave: slow, failing, partial, odd."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final, Literal

from cdk_personalize_segments.local.personalize import errors, segments
from cdk_personalize_segments.local.personalize.jobs import JobTiming
from cdk_personalize_segments.local.personalize.operations import OPERATIONS

Effect = Literal["before", "after"]

BEHAVIOURS: Final[Mapping[str, str]] = {
    "timing": "how long jobs take",
    "training_timing": "how long trainings of solution versions take",
    "query_errors": "queries that get an error of their own instead of users",
    "drop_queries": "queries that are missing in the output",
    "shape": "lines of output as observed, or as documented",
    "distortions": "lines reversed, duplicated, with extra keys, without output",
    "script": "calls that fail, before or after they took effect",
    "fail_next_job": "a job that ends with CREATE FAILED",
    "fail_next_training": "a solution version that ends with CREATE FAILED",
    "delay_output": "output that appears later than ACTIVE",
    "occupy": "jobs of others that take slots",
}
"""What can be set or called on `aws.personalize`, and what each is for."""


class Behaviour:
    """What tests may set at any time; it holds for what is created from then on.

    Attributes:
        timing: How long jobs take. Default: 2 minutes pending, 55 working.
        training_timing: How long the training of a solution version takes that
            CreateSolutionVersion started. Default: 2 minutes pending, 2 hours 15
            minutes working, as one was seen to take.
        query_errors: Texts for the `error` of queries, by item id or by expression.
        drop_queries: Item ids and expressions whose queries are missing in the output.
        shape: `observed`, as real jobs write their lines (the default), or
            `documented`, as the developer guide shows them.
        distortions: Names of `segments.DISTORTIONS`: what may be odd about output.
    """

    timing: JobTiming
    training_timing: JobTiming
    query_errors: dict[str, str]
    drop_queries: set[str]
    shape: segments.Shape
    distortions: set[segments.Distortion]

    def __init__(self) -> None:
        """Behave normally."""
        self.reset_behaviour()

    def reset_behaviour(self) -> None:
        """Behave normally again; what runs or exists already stays as it is."""
        self.timing = JobTiming()
        self.training_timing = JobTiming(
            pending=timedelta(minutes=2), working=timedelta(hours=2, minutes=15)
        )
        self.query_errors = {}
        self.drop_queries = set()
        self.shape = "observed"
        self.distortions = set()
        self.output_delay = timedelta()
        self.job_failures: list[str] = []
        self.training_failures: list[str] = []
        self._scripts: dict[str, list[tuple[errors.PersonalizeError, Effect]]] = {}

    def script(
        self,
        operation: str,
        *,
        errors: Iterable["errors.PersonalizeError | str"],
        effect: Effect = "before",
    ) -> None:
        """Make the next calls of an operation fail, one error each.

        A burst of throttling is `errors=["ThrottlingException"] * 20`.

        Args:
            operation: Its name, like `CreateBatchSegmentJob`.
            errors: What they are answered with: errors, or names like
                `ThrottlingException`, which then have the service's usual text.
            effect: `before`: the operation does nothing; `after`: it does its work
                and only the answer is lost.

        Raises:
            ValueError: The operation is not emulated.
        """
        if operation not in OPERATIONS:
            raise ValueError(
                f"{operation} is not emulated; there are {', '.join(OPERATIONS)}"
            )
        self._scripts.setdefault(operation, []).extend(
            (_as_error(each), effect) for each in errors
        )

    def scripted(self, operation: str) -> tuple[errors.PersonalizeError | None, Effect]:
        """Take the error that the next call of an operation is to have, if any."""
        waiting = self._scripts.get(operation)
        return waiting.pop(0) if waiting else (None, "after")

    def fail_next_job(self, reason: str) -> None:
        """Make the next job that is created end with CREATE FAILED.

        Args:
            reason: Its `failureReason`.
        """
        self.job_failures.append(reason)

    def fail_next_training(self, reason: str) -> None:
        """Make the next version that CreateSolutionVersion starts to train fail.

        Args:
            reason: Its `failureReason`.
        """
        self.training_failures.append(reason)

    def delay_output(self, delay: timedelta) -> None:
        """Make outputs of jobs created from now on appear later than ACTIVE."""
        self.output_delay = delay


def _as_error(error: errors.PersonalizeError | str) -> errors.PersonalizeError:
    return errors.PersonalizeError(error) if isinstance(error, str) else error
