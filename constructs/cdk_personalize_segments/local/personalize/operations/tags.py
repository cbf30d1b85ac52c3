"""Operations on tags, which everything but recipes can have."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cdk_personalize_segments._runtime import limits
from cdk_personalize_segments.local.personalize import errors
from cdk_personalize_segments.local.personalize.operations.common import (
    Answer,
    Parameters,
    check_tags,
    tag_map,
)

if TYPE_CHECKING:
    from cdk_personalize_segments.local.personalize.emulator import EmulatedPersonalize


def tag(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Add tags to a resource."""
    tags = _tags_of(personalize, parameters["resourceArn"])
    check_tags(parameters["tags"], tags)
    tags.update(tag_map(parameters["tags"]))
    return {}


def untag(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Take tags off a resource."""
    tags = _tags_of(personalize, parameters["resourceArn"])
    if len(parameters["tagKeys"]) > limits.MAX_TAGS:
        raise errors.PersonalizeError(errors.TOO_MANY_TAG_KEYS)
    for key in parameters["tagKeys"]:
        tags.pop(key, None)
    return {}


def list_(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """List the tags of a resource."""
    tags = _tags_of(personalize, parameters["resourceArn"])
    return {"tags": [{"tagKey": key, "tagValue": tags[key]} for key in tags]}


def _tags_of(personalize: "EmulatedPersonalize", arn: str) -> dict[str, str]:
    kinds: tuple[Mapping[str, object], ...] = (
        personalize.jobs,
        personalize.filters,
        personalize.solutions,
        personalize.versions,
        personalize.groups,
    )
    if not any(arn in kind for kind in kinds):
        raise errors.not_found(arn)
    return personalize.tags.setdefault(arn, {})
