"""Operations on dataset groups; their data come in through `seed` and `import_data`."""

from typing import TYPE_CHECKING

from cdk_personalize_segments.local.personalize import errors
from cdk_personalize_segments.local.personalize.operations.common import (
    Answer,
    Parameters,
    check_new,
    check_tags,
    find,
    page,
    tag_map,
)
from cdk_personalize_segments.local.personalize.resources import Filter, Solution

if TYPE_CHECKING:
    from cdk_personalize_segments.local.personalize.emulator import EmulatedPersonalize


def create(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Create a dataset group without data, which is ACTIVE at once."""
    name = parameters["name"]
    arn = personalize.arn(f"dataset-group/{name}")
    check_tags(parameters.get("tags", []))
    check_new(personalize.groups, arn, "dataset group", name)
    group = personalize.group(name)
    personalize.tags[arn] = tag_map(parameters.get("tags", []))
    if "domain" not in parameters:
        return {"datasetGroupArn": arn}
    group.domain = parameters["domain"]
    return {"datasetGroupArn": arn, "domain": group.domain}


def describe(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Describe a dataset group."""
    group = find(personalize.groups, parameters["datasetGroupArn"])
    return {"datasetGroup": group.describe()}


def list_(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """List dataset groups."""
    summaries = [each.describe() for each in personalize.groups.values()]
    return page("datasetGroups", summaries, parameters)


def delete(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Delete a dataset group at once, and its data with it.

    Its solutions must be deleted before, and its filters, without which the service
    deletes no dataset:
    https://docs.aws.amazon.com/personalize/latest/dg/API_DeleteDatasetGroup.html
    https://docs.aws.amazon.com/personalize/latest/dg/delete-dataset.html
    """
    group = find(personalize.groups, parameters["datasetGroupArn"])
    dependent: list[Solution | Filter] = [
        *personalize.solutions.values(),
        *personalize.filters.values(),
    ]
    users = [each.arn for each in dependent if each.group is group]
    if users:
        raise errors.in_use(
            f"The dataset group {group.arn} is in use; delete before: "
            f"{', '.join(users)}"
        )
    del personalize.groups[group.arn]
    personalize.tags.pop(group.arn, None)
    return {}
