"""The filter of a run: checked to fit its solution version."""

from . import clients, expressions, limits
from .failures import (
    SDK_ERRORS,
    FilterNotUsable,
    is_not_found,
    message,
    refusals_named,
)
from .solution_versions import SolutionVersion


def placeholders(filter_arn: str | None, version: SolutionVersion) -> frozenset[str]:
    """Check the filter of a run, and find what values its queries must give.

    Returns:
        The names of its placeholders; none without a filter.

    Raises:
        FilterNotUsable: It is missing, not ACTIVE, or of another dataset group; or
            it looks at interactions, which the developer guide rules out for the
            item attribute recipe.
        AccessDenied: It may not be looked at.
    """
    if filter_arn is None:
        return frozenset()
    with refusals_named(filter_arn):
        try:
            answer = clients.personalize().describe_filter(filterArn=filter_arn)
        except SDK_ERRORS as error:
            if is_not_found(error):
                raise FilterNotUsable(
                    f"The filter {filter_arn} does not exist in this account and "
                    f"Region ({message(error)}); correct the ARN."
                ) from error
            raise
    found = answer["filter"]
    status = found.get("status", "")
    if status != "ACTIVE":
        reason = found.get("failureReason")
        raise FilterNotUsable(
            f"The filter {filter_arn} is {status}{f' ({reason})' if reason else ''}; "
            "a job needs one that is ACTIVE."
        )
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
