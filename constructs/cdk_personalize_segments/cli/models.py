"""The solution version and the filter that a run would use."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from cdk_personalize_segments._runtime import arns, expressions
from cdk_personalize_segments.cli.errors import CliError, is_not_found
from cdk_personalize_segments.cli.pipelines import Pipeline

if TYPE_CHECKING:
    from mypy_boto3_personalize.client import PersonalizeClient

_ACTIVE = "ACTIVE"


class SolutionVersion(NamedTuple):
    """A solution version as Personalize describes it."""

    arn: str
    status: str
    failure_reason: str | None
    recipe: str
    dataset_group_arn: str

    @property
    def is_active(self) -> bool:
        """Whether jobs can use it."""
        return self.status == _ACTIVE


class Filter(NamedTuple):
    """A filter as Personalize describes it."""

    arn: str
    status: str
    dataset_group_arn: str
    placeholders: frozenset[str]
    uses_interactions: bool

    @property
    def is_active(self) -> bool:
        """Whether jobs can use it."""
        return self.status == _ACTIVE


def solution_version(pipeline: Pipeline, asked_arn: str | None) -> SolutionVersion:
    """Describe the solution version that a run would use.

    Args:
        pipeline: The pipeline.
        asked_arn: The version that the run's input names, or None.

    Raises:
        CliError: It does not exist, or the solution has no version that is ACTIVE.
    """
    client = pipeline.account.personalize
    arn = asked_arn or pipeline.defaults["solutionVersionArn"]
    try:
        arn = arn or _latest(client, pipeline.defaults["solutionArn"])
        found = client.describe_solution_version(solutionVersionArn=arn)[
            "solutionVersion"
        ]
    except ClientError as error:
        if is_not_found(error):
            raise CliError(
                f"{arn or pipeline.defaults['solutionArn']} does not exist in this "
                "account and Region."
            ) from None
        raise
    return SolutionVersion(
        arn=arn,
        status=found.get("status", ""),
        failure_reason=found.get("failureReason"),
        recipe=arns.recipe_name(found.get("recipeArn", "")),
        dataset_group_arn=found.get("datasetGroupArn", ""),
    )


def job_filter(pipeline: Pipeline, asked_arn: str | None) -> Filter | None:
    """Describe the filter that a run would use, or return None if it has none.

    Args:
        pipeline: The pipeline.
        asked_arn: The filter that the run's input names, or None.

    Raises:
        CliError: It does not exist.
    """
    arn = asked_arn or pipeline.defaults["filterArn"]
    if arn is None:
        return None
    try:
        found = pipeline.account.personalize.describe_filter(filterArn=arn)["filter"]
    except ClientError as error:
        if is_not_found(error):
            raise CliError(
                f"The filter {arn} does not exist in this account and Region."
            ) from None
        raise
    expression = found.get("filterExpression", "")
    return Filter(
        arn=arn,
        status=found.get("status", ""),
        dataset_group_arn=found.get("datasetGroupArn", ""),
        placeholders=expressions.placeholders(expression),
        uses_interactions=expressions.uses_interactions(expression),
    )


def _latest(client: "PersonalizeClient", solution_arn: str) -> str:
    """Return the newest ACTIVE version, as a run looks it up."""
    solution = client.describe_solution(solutionArn=solution_arn)["solution"]
    latest = solution.get("latestSolutionVersion", {})
    if latest.get("status") == _ACTIVE:
        return latest["solutionVersionArn"]
    active = [
        each
        for each in _versions(client, solution_arn)
        if each.get("status") == _ACTIVE
    ]
    if not active:
        raise CliError(
            f"The solution {solution_arn} has no ACTIVE version (the newest: "
            f"{latest.get('status', 'none')}); train one."
        )
    newest = max(active, key=lambda each: each["creationDateTime"])
    return str(newest["solutionVersionArn"])


def _versions(
    client: "PersonalizeClient", solution_arn: str
) -> Iterator[Mapping[str, Any]]:
    paginator = client.get_paginator("list_solution_versions")
    for page in paginator.paginate(solutionArn=solution_arn):
        yield from page["solutionVersions"]
