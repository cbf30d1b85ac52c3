"""The emulated Personalize: what it holds, and how data come into it."""

import re
import threading
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from moto.utilities.utils import get_partition

from cdk_personalize_segments._runtime import arns, limits
from cdk_personalize_segments.local.personalize import (
    dataset,
    errors,
    filters,
    refusals,
    segments,
    shapes,
    training,
)
from cdk_personalize_segments.local.personalize.affinity import Affinity
from cdk_personalize_segments.local.personalize.behaviour import Behaviour
from cdk_personalize_segments.local.personalize.jobs import Agenda, Job
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
from cdk_personalize_segments.local.personalize.work import JobWork

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

_OTHERS: Final = "someone-elses"
# Per dataset group, by the page on quotas.
MAX_FILTERS: Final = 30
MAX_FILTER_FIELDS: Final = 20


class EmulatedPersonalize(Behaviour):
    """Amazon Personalize, as far as batch segment jobs need it.

    Segments are computed from imported data (see `affinity`); jobs and trainings take
    their time on the local AWS's clock. How it behaves besides is set as `Behaviour`
    says.

    Attributes:
        aws: The local AWS that it belongs to.
        groups: Dataset groups by ARN.
        solutions: Solutions by ARN.
        versions: Solution versions by ARN.
        filters: Filters by ARN.
        jobs: Batch segment jobs by ARN.
        tags: Keys and values by the ARN of what has them.
        agenda: What is to happen, and when.
    """

    def __init__(self, aws: "LocalAws") -> None:
        """Start without any resource.

        Args:
            aws: The local AWS that it belongs to.
        """
        super().__init__()
        self.aws = aws
        self.groups: dict[str, DatasetGroup] = {}
        self.solutions: dict[str, Solution] = {}
        self.versions: dict[str, SolutionVersion] = {}
        self.filters: dict[str, Filter] = {}
        self.jobs: dict[str, Job] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.agenda = Agenda()
        self._lock = threading.RLock()

    # --- Data and models ---

    def import_data(self, folder: str | Path, *, dataset_group: str) -> str:
        """Import a folder of CSV files into a dataset group, in the place of its data.

        Solution versions keep what they were trained on; a newer one learns the new
        data. Filters look at the new data from now on.

        Args:
            folder: Holds `items.csv`, `interactions.csv` and optionally `users.csv`;
                see `dataset.load` for their columns.
            dataset_group: The name of the dataset group, which is made if there is
                none.

        Returns:
            The dataset group's ARN.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: A file is malformed, or the name cannot be one.
        """
        data = dataset.load(folder)
        with self._lock:
            # What began before learns from the data before.
            self.settle()
            group = self.group(dataset_group)
            group.affinity = Affinity(data)
            return group.arn

    def seed(
        self,
        folder: str | Path,
        *,
        recipe: str = limits.ITEM_AFFINITY,
        name: str | None = None,
        dataset_group: str | None = None,
    ) -> str:
        """Import a folder of CSV files and train a solution on it, or retrain it.

        Args:
            folder: Holds `items.csv`, `interactions.csv` and optionally `users.csv`;
                see `dataset.load` for their columns.
            recipe: `aws-item-affinity` or `aws-item-attribute-affinity`.
            name: The solution's name. Default: made of the folder's name and the
                recipe's.
            dataset_group: The name of the dataset group; its data, if any, are
                replaced. Default: the solution's, or else its name.

        Returns:
            The ARN of the new, ACTIVE solution version.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: A file or an argument is malformed, or the name is that of a
                solution of another recipe or dataset group.
        """
        _check_recipe(recipe)
        stem = Path(folder).resolve().name
        name = name or f"{stem}-{recipe.removeprefix('aws-')}"
        with self._lock:
            solution = self.solutions.get(self.arn(f"solution/{name}"))
            if solution is None:
                group = self.import_data(folder, dataset_group=dataset_group or name)
                solution = self.add_solution(name, recipe, self.groups[group])
            else:
                group_name = solution.group.name
                if (recipe, dataset_group or group_name) != (
                    solution.recipe,
                    group_name,
                ):
                    raise ValueError(
                        f"the solution {name} exists, of the recipe {solution.recipe} "
                        f"and the dataset group {group_name}; seed another name"
                    )
                self.import_data(folder, dataset_group=group_name)
            return training.add_version(self, solution, ACTIVE).arn

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
            solution = self.solutions[solution_arn]
            return training.add_version(self, solution, status).arn

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
                group = self.group(dataset_group or name)
                solution = self.add_solution(name, recipe, group)
            version = training.add_version(
                self, solution, status, failure_reason=failure_reason
            )
            return version.arn

    def add_filter(
        self,
        name: str,
        expression: str,
        *,
        dataset_group: str,
        status: str = ACTIVE,
        failure_reason: str | None = None,
    ) -> str:
        """Make a filter.

        Args:
            name: Its name.
            expression: See `filters` for what is understood.
            dataset_group: The name of its dataset group.
            status: Its status. Default: ACTIVE.
            failure_reason: Why it failed, if it did.

        Returns:
            The filter's ARN.

        Raises:
            PersonalizeError: The name is taken, or there are too many filters or
                fields; the errors for the latter are not known.
            FilterExpressionError: The expression is malformed, or looks at a column
                that the dataset group does not have.
            NotEmulatedError: The expression is not for segments.
            ValueError: There is no such dataset group, or the name cannot be one.
        """
        with self._lock:
            group = self.groups.get(self.arn(f"dataset-group/{dataset_group}"))
            if group is None:
                raise ValueError(f"there is no dataset group {dataset_group}")
            arn = self.arn(f"filter/{name}")
            _check_name(name)
            if arn in self.filters:
                raise errors.already_exists("filter", name)
            parsed = filters.parse(expression)
            if group.dataset is not None:
                filters.check_fields(parsed, group.dataset)
            self._check_room(group, parsed)
            self.filters[arn] = Filter(
                name, arn, group, expression, parsed, status, self.now(), failure_reason
            )
            return arn

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
                raise errors.not_emulated(
                    f"The operation {operation} is not emulated by local AWS."
                )
            error, effect = self.scripted(operation)
            if error is not None and effect == "before":
                raise error
            shapes.check_request(operation, parameters)
            refusals.check(operation, parameters)
            answer = OPERATIONS[operation](self, parameters)
            shapes.check_answer(operation, answer)
            if error is not None:
                raise error
            return answer

    def settle(self) -> None:
        """Do what jobs and trainings had to do by now; never fails."""
        with self._lock:
            self.agenda.run_due(self.now())

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

    def group(self, name: str) -> DatasetGroup:
        """Return a dataset group, which is made if there is none of the name.

        Raises:
            ValueError: The name cannot be one.
        """
        _check_name(name)
        arn = self.arn(f"dataset-group/{name}")
        if arn not in self.groups:
            self.groups[arn] = DatasetGroup(name, arn, self.now())
        return self.groups[arn]

    def add_solution(self, name: str, recipe: str, group: DatasetGroup) -> Solution:
        """Make a solution.

        Raises:
            ValueError: The name cannot be one.
        """
        arn = self.arn(f"solution/{name}")
        problem = arns.problem(arn, arns.SOLUTION)
        if problem:
            raise ValueError(f"the solution's ARN {problem}")
        solution = Solution(
            name, arn, recipe, self.recipe_arn(recipe), group, self.now()
        )
        self.solutions[arn] = solution
        return solution

    def check_unused(self, arn: str, used: Collection[str]) -> None:
        """Check that no job that is pending or in progress uses a resource.

        Args:
            arn: The resource.
            used: The ARNs of filters or solution versions that stand for it.

        Raises:
            PersonalizeError: ResourceInUseException.
        """
        now = self.now()
        for job in self.jobs.values():
            named = {job.request["solutionVersionArn"], job.request.get("filterArn")}
            if job.takes_slot(now) and not named.isdisjoint(used):
                raise errors.in_use(f"{arn} is in use by {job.arn}.")

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
            distortions=frozenset(self.distortions),
        )
        JobWork(
            job,
            storage,
            segmenter,
            self.agenda,
            failure=self.job_failures.pop(0) if self.job_failures else None,
            delay=self.output_delay,
        )

    def _check_room(self, group: DatasetGroup, parsed: filters.Filter) -> None:
        others = [each for each in self.filters.values() if each.group is group]
        if len(others) >= MAX_FILTERS:
            raise errors.limit_exceeded(
                f"A dataset group has at most {MAX_FILTERS} filters."
            )
        fields = parsed.fields.union(*(each.parsed.fields for each in others))
        if len(fields) > MAX_FILTER_FIELDS:
            raise errors.limit_exceeded(
                f"All filters of a dataset group have at most {MAX_FILTER_FIELDS} "
                "distinct fields."
            )

    @property
    def _partition(self) -> str:
        return str(get_partition(self.aws.region))


def _check_recipe(recipe: str) -> None:
    if recipe not in RECIPES:
        raise ValueError(f"recipe must be one of {', '.join(RECIPES)}, got {recipe!r}")


def _check_name(name: str) -> None:
    too_long = len(name) > limits.MAX_NAME_LENGTH
    if too_long or not re.fullmatch(limits.NAME_PATTERN, name):
        raise ValueError(
            f"a name has 1 to {limits.MAX_NAME_LENGTH} letters, digits, - and _, and "
            f"starts with a letter or digit, got {name!r}"
        )
