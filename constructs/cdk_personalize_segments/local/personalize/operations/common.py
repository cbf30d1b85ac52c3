"""What operations on all kinds of resources share: finding, tags, and pages of lists.

Lists are oldest first; the service's order is not documented.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from cdk_personalize_segments._runtime import limits
from cdk_personalize_segments.local.personalize import errors

Parameters = Mapping[str, Any]
Answer = dict[str, Any]
_T = TypeVar("_T")
_PAGE: Final = 100


def find(found: Mapping[str, _T], arn: str) -> _T:
    """Find a resource among those of its kind.

    Raises:
        PersonalizeError: ResourceNotFoundException, also for a resource of another
            kind, account or Region; which error the service has for these is not
            known.
    """
    if arn not in found:
        raise errors.not_found(arn)
    return found[arn]


def check_new(found: Mapping[str, object], arn: str, kind: str, name: str) -> None:
    """Check that no resource of a kind has a name.

    Raises:
        PersonalizeError: ResourceAlreadyExistsException.
    """
    if arn in found:
        raise errors.already_exists(kind, name)


def check_tags(tags: Sequence[Mapping[str, str]], present: Iterable[str] = ()) -> None:
    """Check tags that a resource is to have besides others.

    Raises:
        PersonalizeError: InvalidInputException or TooManyTagsException.
    """
    keys = [tag["tagKey"] for tag in tags]
    if len(set(keys)) < len(keys):
        raise errors.invalid_input("tags must not name a key twice")
    for tag in tags:
        problem = limits.tag_problem(tag["tagKey"], tag["tagValue"])
        if problem:
            raise errors.invalid_input(f"tags: {problem}")
    if len({*keys, *present}) > limits.MAX_TAGS:
        raise errors.PersonalizeError(errors.TOO_MANY_TAGS)


def tag_map(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Turn a list of tags into keys and values."""
    return {tag["tagKey"]: tag["tagValue"] for tag in tags}


def page(name: str, summaries: list[Answer], parameters: Parameters) -> Answer:
    """Return the part of a list that a request asks for.

    Args:
        name: The member with the list, which its tokens are valid for.
        summaries: The whole list.
        parameters: The request's.

    Raises:
        PersonalizeError: InvalidNextTokenException.
    """
    start = _offset(name, parameters.get("nextToken"), len(summaries))
    end = start + parameters.get("maxResults", _PAGE)
    answer: Answer = {name: summaries[start:end]}
    if end < len(summaries):
        answer["nextToken"] = base64.urlsafe_b64encode(
            f"{name} {end}".encode()
        ).decode()
    return answer


def _offset(name: str, token: str | None, count: int) -> int:
    if token is None:
        return 0
    try:
        of_list, _, end = base64.urlsafe_b64decode(token).decode().partition(" ")
        offset = int(end) if of_list == name else -1
    except (ValueError, binascii.Error):
        offset = -1
    if not 0 < offset <= count:
        raise errors.PersonalizeError(errors.INVALID_NEXT_TOKEN)
    return offset
