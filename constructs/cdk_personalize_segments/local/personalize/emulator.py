"""The emulated Personalize: what it holds, and how tests make it behave."""

import hashlib
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from moto.utilities.utils import get_partition

from cdk_personalize_segments._runtime import arns, limits
from cdk_personalize_segments.local.personalize import (
    dataset,
    errors,
    filters,
    segments,
    shapes,
)
from cdk_personalize_segments.local.personalize.affinity import Affinity
from cdk_personalize_segments.local.personalize.jobs import Agenda, Job, JobTiming
from cdk_personalize_segments.local.personalize.operations import OPERATIONS
from cdk_personalize_segments.local.personalize.resources import (
    ACTIVE,
    RECIPES,
    DatasetGroup,
    Filter,
    Solution,
    SolutionVersion,
)
from cdk_personalize_segments.local.personalize.storage import JobStorage

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

Effect = Literal["before", "after"]
_OTHERS: Final = "someone-elses"


class EmulatedPersonalize:
    """Amazon Personalize, as far as batch segment jobs need it.

    Segments are computed from seeded data (see `affinity`); jobs take their time on
    the local AWS's clock. The attributes below may be set at any time and hold for
    jobs created from then on.

    Attributes:
        timing: How long jobs take. Default: 2 minutes pending, 55 working.
        query_errors: Texts for the `error` of queries, by item id or by expression.
        drop_queries: Item ids and expressions whose queries are missing in the output.
        shape: `observed`, as real jobs write their lines (the default), or
            `documented`, as the developer guide shows them.
    """

    def __init__(self, aws: "LocalAws") -> None:
        """Start without any resource.

        Args:
            aws: The local AWS that it belongs to.
        """
        self.aws = aws
        self.timing = JobTiming()
        self.query_errors: dict[str, str] = {}
        self.drop_queries: set[str] = set()
        self.shape: segments.Shape = "observed"
        self.groups: dict[str, DatasetGroup] = {}
        self.solutions: dict[str, Solution] = {}
        self.versions: dict[str, SolutionVersion] = {}
        self.filters: dict[str, Filter] = {}
        self.jobs: dict[str, Job] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self._agenda = Agenda()
        self._scripts: dict[str, list[tuple[errors.PersonalizeError, Effect]]] = {}
        self._failures: list[str] = []
        self._output_delay = timedelta()
        self._lock = threading.RLock()

    # --- Data and models ---

    def seed(
        self,
        folder: str | Path,
        *,
        recipe: str = limits.ITEM_AFFINITY,
        name: str | None = None,
        dataset_group: str | None = None,
    ) -> str:
        """Import a folder of CSV files and train a solution on it.

        Args:
            folder: Holds `items.csv`, `interactions.csv` and optionally `users.csv`;
                see `dataset.load` for their columns.
            recipe: `aws-item-affinity` or `aws-item-attribute-affinity`.
            name: The solution's name. Default: made of the folder's name and the
                recipe's.
            dataset_group: The name of the dataset group; its data, if any, are
                replaced. Default: the solution's name.

        Returns:
            The ARN of the new, ACTIVE solution version.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: A file or an argument is malformed, or the name is taken.
        """
        _check_recipe(recipe)
        data = dataset.load(folder)
        stem = Path(folder).resolve().name
        name = name or f"{stem}-{recipe.removeprefix('aws-')}"
        with self._lock:
            if self.arn(f"solution/{name}") in self.solutions:
                raise ValueError(
                    f"the solution {name} exists; retrain it, or seed another name"
                )
            group = self._group(dataset_group or name)
            group.dataset = data
            return self._train(self._solution(name, recipe, group), ACTIVE, None)

    def retrain(self, solution_arn: str, status: str = ACTIVE) -> str:
        """Make a newer version of a solution, from the data of its dataset group.

        Args:
            solution_arn: The solution.
            status: The version's status. Default: ACTIVE.

        Returns:
            The new version's ARN.

        Raises:
            ValueError: There is no such solution.
        """
        with self._lock:
            if solution_arn not in self.solutions:
                raise ValueError(f"there is no solution {solution_arn}")
            return self._train(self.solutions[solution_arn], status, None)

    def create_solution_version(
        self,
        name: str,
        *,
        recipe: str = "aws-user-personalization",
        status: str = ACTIVE,
        failure_reason: str | None = None,
        dataset_group: str | None = None,
    ) -> str:
        """Make a solution version without data, to test those that are unusable.

        Args:
            name: The solution, which is made if there is none of that name.
            recipe: Its recipe. Default: one that does not make segments.
            status: The version's status, like `CREATE FAILED`. Default: ACTIVE.
            failure_reason: The version's failure reason. Default: none.
            dataset_group: The dataset group. Default: one of the solution's name.

        Returns:
            The version's ARN.

        Raises:
            ValueError: The recipe is not one of those emulated.
        """
        _check_recipe(recipe)
        with self._lock:
            solution = self.solutions.get(self.arn(f"solution/{name}"))
            if solution is None:
                group = self._group(dataset_group or name)
                solution = self._solution(name, recipe, group)
            return self._train(solution, status, failure_reason)

    def add_filter(
        self, name: str, expression: str, *, dataset_group: str, status: str = ACTIVE
    ) -> str:
        """Make a filter.

        Args:
            name: Its name.
            expression: See `filters` for what is understood.
            dataset_group: The name of its dataset group.
            status: Its status. Default: ACTIVE.

        Returns:
            The filter's ARN.

        Raises:
            PersonalizeError: The name is taken.
            FilterExpressionError: The expression is malformed, not emulated, or looks
                at a column that the dataset group does not have.
            ValueError: There is no such dataset group.
        """
        with self._lock:
            group = self.groups.get(self.arn(f"dataset-group/{dataset_group}"))
            if group is None:
                raise ValueError(f"there is no dataset group {dataset_group}")
            arn = self.arn(f"filter/{name}")
            if arn in self.filters:
                raise errors.PersonalizeError(
                    errors.RESOURCE_ALREADY_EXISTS,
                    f"Another filter with the name {name} exists already.",
                )
            parsed = filters.parse(expression)
            if group.dataset is not None:
                filters.check_fields(parsed, group.dataset)
            self.filters[arn] = Filter(
                name, arn, group, expression, parsed, status, self.now()
            )
            return arn

    # --- Behaviour for tests ---

    def script(
        self,
        operation: str,
        *,
        errors: Iterable["errors.PersonalizeError | str"],
        effect: Effect = "before",
    ) -> None:
        """Make the next calls of an operation fail, one error each.

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
        with self._lock:
            self._scripts.setdefault(operation, []).extend(
                (_as_error(each), effect) for each in errors
            )

    def fail_next_job(self, reason: str) -> None:
        """Make the next job that is created end with CREATE FAILED.

        Args:
            reason: Its `failureReason`.
        """
        self._failures.append(reason)

    def delay_output(self, delay: timedelta) -> None:
        """Make outputs of jobs created from now on appear later than ACTIVE."""
        self._output_delay = delay

    def occupy(self, count: int, *, for_: timedelta) -> None:
        """Take job slots, as other people's jobs in the account do.

        Args:
            count: How many.
            for_: How long the jobs take, from now.

        Raises:
            ValueError: Fewer slots are free.
        """
        with self._lock:
            free = limits.MAX_ACTIVE_JOBS - self.slots_in_use()
            if count > free:
                raise ValueError(f"{count} slots are wanted, {free} are free")
            now = self.now()
            role = f"arn:{self._partition}:iam::{self.aws.account_id}:role/{_OTHERS}"
            request = {
                "solutionVersionArn": self.arn(f"solution/{_OTHERS}/00000000"),
                "numResults": limits.DEFAULT_NUM_RESULTS,
                "jobInput": {"s3DataSource": {"path": f"s3://{_OTHERS}/input/"}},
                "jobOutput": {"s3DataDestination": {"path": f"s3://{_OTHERS}/out/"}},
                "roleArn": role,
            }
            for _ in range(count):
                name = f"{_OTHERS}-{len(self.jobs) + 1}"
                arn = self.arn(f"batch-segment-job/{name}")
                self.jobs[arn] = Job(name, arn, request, now, now, now + for_)

    # --- Called by the server ---

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a request.

        Args:
            operation: The operation's name.
            parameters: Its parameters, as the SDK names them.

        Returns:
            The answer, with datetimes.

        Raises:
            PersonalizeError: The service's error.
        """
        with self._lock:
            self.settle()
            if operation not in OPERATIONS:
                raise errors.PersonalizeError(
                    "NotImplemented",
                    f"The operation {operation} is not emulated by local AWS.",
                )
            scripted = self._scripts.get(operation)
            error, effect = scripted.pop(0) if scripted else (None, "after")
            if error is not None and effect == "before":
                raise error
            shapes.check_request(operation, parameters)
            answer = OPERATIONS[operation](self, parameters)
            shapes.check_answer(operation, answer)
            if error is not None:
                raise error
            return answer

    def settle(self) -> None:
        """Do what jobs had to do by now: read their input, write their output."""
        with self._lock:
            self._agenda.run_due(self.now())

    # --- Used by the operations ---

    def now(self) -> datetime:
        """Return the time of the local AWS."""
        return self.aws.clock.now()

    def arn(self, resource: str) -> str:
        """Return the ARN of a resource of this account and Region."""
        return (
            f"arn:{self._partition}:personalize:{self.aws.region}"
            f":{self.aws.account_id}:{resource}"
        )

    def recipe_arn(self, name: str) -> str:
        """Return the ARN of a recipe, which has neither account nor Region."""
        return f"arn:{self._partition}:personalize:::recipe/{name}"

    def slots_in_use(self) -> int:
        """Count the jobs that are pending or in progress."""
        now = self.now()
        return sum(job.takes_slot(now) for job in self.jobs.values())

    def start_job(
        self,
        name: str,
        arn: str,
        parameters: Mapping[str, Any],
        version: SolutionVersion,
        used_filter: Filter | None,
        storage: JobStorage,
    ) -> None:
        """Start a job whose request was found right."""
        created = self.now()
        starts = created + self.timing.pending
        num_results = parameters.get("numResults", limits.DEFAULT_NUM_RESULTS)
        job = Job(
            name,
            arn,
            {**parameters, "numResults": num_results},
            created,
            starts,
            starts + self.timing.working,
        )
        self.jobs[arn] = job
        segmenter = segments.Segmenter(
            version=version,
            num_results=num_results,
            filter=used_filter,
            errors=dict(self.query_errors),
            dropped=frozenset(self.drop_queries),
            shape=self.shape,
        )
        failure = self._failures.pop(0) if self._failures else None
        delay = self._output_delay

        def begin() -> None:
            try:
                files = storage.read()
                segments.check(files, version.solution.recipe)
            except segments.JobFailedError as reason:
                job.fail(job.starts, str(reason))
            else:
                self._agenda.add(job.ends, lambda: end(files))

        def end(files: list[segments.InputFile]) -> None:
            try:
                if failure is not None:
                    raise segments.JobFailedError(failure)
                for file in files:
                    storage.check_write(file.output_name)
            except segments.JobFailedError as reason:
                job.fail(job.ends, str(reason))
            else:
                self._agenda.add(job.ends + delay, lambda: write(files))

        def write(files: list[segments.InputFile]) -> None:
            for file in files:
                storage.write(file.output_name, segmenter.output(file))

        self._agenda.add(starts, begin)

    @property
    def _partition(self) -> str:
        return str(get_partition(self.aws.region))

    def _group(self, name: str) -> DatasetGroup:
        arn = self.arn(f"dataset-group/{name}")
        if arn not in self.groups:
            self.groups[arn] = DatasetGroup(name, arn, self.now())
        return self.groups[arn]

    def _solution(self, name: str, recipe: str, group: DatasetGroup) -> Solution:
        arn = self.arn(f"solution/{name}")
        problem = arns.problem(arn, arns.SOLUTION)
        if problem:
            raise ValueError(f"the solution's ARN {problem}")
        solution = Solution(
            name, arn, recipe, self.recipe_arn(recipe), group, self.now()
        )
        self.solutions[arn] = solution
        return solution

    def _train(
        self, solution: Solution, status: str, failure_reason: str | None
    ) -> str:
        number = len(solution.versions)
        version_id = hashlib.sha256(f"{solution.name} {number}".encode()).hexdigest()
        data = solution.group.dataset
        # Real versions cannot be created at the same moment: a training lies between.
        created = self.now()
        if solution.versions:
            created = max(created, solution.versions[-1].created + timedelta(seconds=1))
        version = SolutionVersion(
            arn=f"{solution.arn}/{version_id[:8]}",
            solution=solution,
            status=status,
            failure_reason=failure_reason,
            created=created,
            affinity=None if data is None else Affinity(data),
            dataset=data,
        )
        solution.versions.append(version)
        self.versions[version.arn] = version
        return version.arn


def _check_recipe(recipe: str) -> None:
    if recipe not in RECIPES:
        raise ValueError(f"recipe must be one of {', '.join(RECIPES)}, got {recipe!r}")


def _as_error(error: errors.PersonalizeError | str) -> errors.PersonalizeError:
    return errors.PersonalizeError(error) if isinstance(error, str) else error
