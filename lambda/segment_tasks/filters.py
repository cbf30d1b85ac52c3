"""The filter of a run: checked to fit its solution version."""

from . import clients, expressions, limits
from .failures import FilterNotUsable
from .solution_versions import SolutionVersion, check_active, lookup


def placeholders(filter_arn: str | None, version: SolutionVersion) -> frozenset[str]:
    """Check the filter of a run; return the placeholders that its queries must fill.

    Raises:
        FilterNotUsable: It is missing, not ACTIVE, or of another dataset group; or
            it looks at interactions, which the developer guide rules out for the
            item attribute recipe.
        AccessDenied: It may not be looked at.
    """
    if filter_arn is None:
        return frozenset()
    with lookup("filter", filter_arn, FilterNotUsable):
        found = clients.personalize().describe_filter(filterArn=filter_arn)["filter"]
    check_active("filter", filter_arn, found, FilterNotUsable)
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
