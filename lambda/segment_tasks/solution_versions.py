"""The solution version of a run: found, and checked to fit a batch segment job."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from . import arns, clients, limits
from .failures import (
    SDK_ERRORS,
    SolutionVersionNotUsable,
    is_not_found,
    message,
    refusals_named,
)

_ACTIVE = "ACTIVE"


class SolutionVersion(NamedTuple):
    """A solution version that can serve batch segment jobs.

    Attributes:
        arn: Its ARN.
        recipe: The name of its recipe.
        dataset_group_arn: The dataset group that it was trained on.
    """

    arn: str
    recipe: str
    dataset_group_arn: str


def find(asked_arn: str | None, defaults: Mapping[str, Any]) -> SolutionVersion:
    """Find the solution version of a run, and check it.

    Returns:
        The version, ACTIVE and of a USER_SEGMENTATION recipe.

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
    with refusals_named(solution_arn):
        try:
            solution = clients.personalize().describe_solution(solutionArn=solution_arn)
        except SDK_ERRORS as error:
            raise _unless_missing(error, "solution", solution_arn) from error
    latest = solution["solution"].get("latestSolutionVersion", {})
    if latest.get("status") == _ACTIVE:
        return latest["solutionVersionArn"]
    with refusals_named(solution_arn):
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
    with refusals_named(arn):
        try:
            answer = clients.personalize().describe_solution_version(
                solutionVersionArn=arn
            )
        except SDK_ERRORS as error:
            raise _unless_missing(error, "solution version", arn) from error
    version = answer["solutionVersion"]
    recipe = arns.recipe_name(version.get("recipeArn", ""))
    if recipe not in limits.QUERIES_PER_FILE:
        raise SolutionVersionNotUsable(
            f"The solution version {arn} was trained with the recipe {recipe!r}; batch "
            f"segment jobs need {' or '.join(limits.QUERIES_PER_FILE)}."
        )
    status = version.get("status", "")
    if status != _ACTIVE:
        reason = version.get("failureReason")
        raise SolutionVersionNotUsable(
            f"The solution version {arn} is {status}"
            f"{f' ({reason})' if reason else ''}; a job needs one that is ACTIVE."
        )
    return SolutionVersion(arn, recipe, version["datasetGroupArn"])


def _unless_missing(error: Exception, what: str, arn: str) -> Exception:
    if is_not_found(error):
        return SolutionVersionNotUsable(
            f"The {what} {arn} does not exist in this account and Region "
            f"({message(error)}); correct the ARN."
        )
    return error
