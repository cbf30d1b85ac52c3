"""Operations on filters."""

from typing import TYPE_CHECKING

from cdk_personalize_segments.local.personalize import errors, filters
from cdk_personalize_segments.local.personalize.operations.common import (
    Answer,
    Parameters,
    check_tags,
    find,
    page,
    tag_map,
)

if TYPE_CHECKING:
    from cdk_personalize_segments.local.personalize.emulator import EmulatedPersonalize


def create(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Create a filter, which is ACTIVE at once.

    An expression that the service does not take is an InvalidInputException, with the
    beginning of the text that the developer guide shows.
    """
    group = find(personalize.groups, parameters["datasetGroupArn"])
    check_tags(parameters.get("tags", []))
    try:
        arn = personalize.add_filter(
            parameters["name"], parameters["filterExpression"], dataset_group=group.name
        )
    except filters.FilterExpressionError as error:
        raise errors.invalid_input(f"Could not create filter. {error}") from error
    except filters.NotEmulatedError as error:
        raise errors.not_emulated(str(error)) from error
    personalize.tags[arn] = tag_map(parameters.get("tags", []))
    return {"filterArn": arn}


def describe(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Describe a filter."""
    found = find(personalize.filters, parameters["filterArn"])
    return {"filter": found.describe()}


def list_(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """List filters."""
    wanted = parameters.get("datasetGroupArn")
    summaries = [
        each.summarize()
        for each in personalize.filters.values()
        if wanted in {None, each.group.arn}
    ]
    return page("Filters", summaries, parameters)


def delete(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Delete a filter at once.

    The service has a ResourceInUseException for this, without saying when. It comes
    here while a job with the filter is pending or in progress.
    """
    found = find(personalize.filters, parameters["filterArn"])
    personalize.check_unused(found.arn, {found.arn})
    del personalize.filters[found.arn]
    personalize.tags.pop(found.arn, None)
    return {}
