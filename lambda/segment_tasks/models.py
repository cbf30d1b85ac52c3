"""The solution version and the filter of a run: found, and checked to fit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from . import arns, clients, expressions, limits
from .aws_errors import code, is_not_found, message, refusals_named
from .failures import FilterNotUsable, RunFailure, SolutionVersionNotUsable

_ACTIVE = "ACTIVE"


class SolutionVersion(NamedTuple):
    """A solution version that can serve batch segment jobs, and its recipe's name."""

    arn: str
    recipe: str
    dataset_group_arn: str


def find_solution_version(
    asked_arn: str | None, defaults: Mapping[str, Any]
) -> SolutionVersion:
    """Find the solution version of a run: ACTIVE, and of a USER_SEGMENTATION recipe.

    Raises:
        SolutionVersionNotUsable: There is none that can be used.
        AccessDenied: It may not be looked at.
    """
    if asked_arn:
        _check_solution(asked_arn, defaults)
    arn = asked_arn or defaults["solutionVersionArn"]
    return _checked(arn or _latest(defaults["solutionArn"]))


def _check_solution(asked_arn: str, defaults: Mapping[str, Any]) -> None:
    if defaults["allowAnySolution"]:
        return
    own = defaults["solutionArn"] or arns.solution_of(defaults["solutionVersionArn"])
    if arns.solution_of(asked_arn) != own:
        raise SolutionVersionNotUsable(
            f"The execution names {asked_arn}, which is not a version of the "
            f"pipeline's solution {own}; name one of that, or set allow_any_solution "
            "on the pipeline."
        )


def _latest(solution_arn: str) -> str:
    with _lookup("solution", solution_arn, SolutionVersionNotUsable):
        solution = clients.personalize().describe_solution(solutionArn=solution_arn)
    latest = solution["solution"].get("latestSolutionVersion", {})
    if latest.get("status") == _ACTIVE:
        return latest["solutionVersionArn"]
    with _lookup("solution", solution_arn, SolutionVersionNotUsable):
        active = [
            each for each in _versions(solution_arn) if each.get("status") == _ACTIVE
        ]
    if not active:
        newest = (
            f"the newest is {latest['status']}" if latest.get("status") else "none yet"
        )
        raise SolutionVersionNotUsable(
            f"The solution {solution_arn} has no ACTIVE version ({newest}); train one "
            "and start the run again when it is ACTIVE."
        )
    newest_active = max(active, key=lambda each: each["creationDateTime"])
    return str(newest_active["solutionVersionArn"])


def _versions(solution_arn: str) -> Iterator[Mapping[str, Any]]:
    request: dict[str, Any] = {"solutionArn": solution_arn}
    while True:
        answer = clients.personalize().list_solution_versions(**request)
        yield from answer.get("solutionVersions", [])
        if not answer.get("nextToken"):
            return
        request["nextToken"] = answer["nextToken"]


def _checked(arn: str) -> SolutionVersion:
    with _lookup("solution version", arn, SolutionVersionNotUsable):
        answer = clients.personalize().describe_solution_version(solutionVersionArn=arn)
    version = answer["solutionVersion"]
    recipe = arns.recipe_name(version.get("recipeArn", ""))
    if recipe not in limits.QUERIES_PER_FILE:
        raise SolutionVersionNotUsable(
            f"The solution version {arn} was trained with the recipe {recipe!r}; batch "
            f"segment jobs need {' or '.join(limits.QUERIES_PER_FILE)}."
        )
    _check_active("solution version", arn, version, SolutionVersionNotUsable)
    return SolutionVersion(arn, recipe, version["datasetGroupArn"])


def filter_placeholders(
    filter_arn: str | None, version: SolutionVersion
) -> frozenset[str]:
    """Check the filter of a run; return the placeholders that its queries must fill.

    Raises:
        FilterNotUsable: It is missing, not ACTIVE, or of another dataset group; or
            it looks at interactions, which the developer guide rules out for the
            item attribute recipe.
        AccessDenied: It may not be looked at.
    """
    if filter_arn is None:
        return frozenset()
    with _lookup("filter", filter_arn, FilterNotUsable):
        found = clients.personalize().describe_filter(filterArn=filter_arn)["filter"]
    _check_active("filter", filter_arn, found, FilterNotUsable)
    if found["datasetGroupArn"] != version.dataset_group_arn:
        raise FilterNotUsable(
            f"The filter {filter_arn} belongs to the dataset group "
            f"{found['datasetGroupArn']}, the solution version {version.arn} to "
            f"{version.dataset_group_arn}; use a filter of the same dataset group."
        )
    expression = found.get("filterExpression", "")
    if version.recipe == limits.ITEM_ATTRIBUTE_AFFINITY and (
        expressions.uses_interactions(expression)
    ):
        raise FilterNotUsable(
            f"The filter {filter_arn} looks at interactions, which Personalize does "
            f"not support with {version.recipe}; use one that looks at users only."
        )
    return expressions.placeholders(expression)


@contextmanager
def _lookup(what: str, arn: str, failure: type[RunFailure]) -> Iterator[None]:
    """Raise the failure given if the service does not know something."""
    try:
        with refusals_named(arn):
            yield
    except ClientError as error:
        if is_not_found(error):
            raise failure(
                f"The {what} {arn} does not exist in this account and Region "
                f"({message(error)}); correct the ARN."
            ) from error
        if code(error) == "InvalidInputException":
            raise failure(
                f"Personalize refused to look up the {what} {arn}: {message(error)}"
            ) from error
        raise


def _check_active(
    what: str, arn: str, found: Mapping[str, Any], failure: type[RunFailure]
) -> None:
    """Refuse what is not ACTIVE, with the service's reason."""
    status, reason = found.get("status", ""), found.get("failureReason")
    if status != _ACTIVE:
        raise failure(
            f"The {what} {arn} is {status}{f' ({reason})' if reason else ''}; a job "
            "needs one that is ACTIVE."
        )
