"""Pages of lists, by the rules of Step Functions."""

from typing import Any, Final

from moto.core.exceptions import AWSError

from cdk_personalize_segments.local.untyped import Moto

_PAGE: Final = 100
_LONGEST_PAGE: Final = 1000


class InvalidToken(AWSError):  # noqa: N818
    """A token is not one that was given out."""

    TYPE = "InvalidToken"


def page(request: Moto, name: str, items: list[Any]) -> dict[str, Any]:
    """Give one page of a list; a token is the position of the next.

    Args:
        request: The request, with `maxResults` and `nextToken`.
        name: What the answer calls the list.
        items: All items.

    Raises:
        InvalidToken: The token is not one of ours.
    """
    size = min(int(request._get_param("maxResults") or _PAGE), _LONGEST_PAGE)
    token = request._get_param("nextToken") or "0"
    if not token.isdigit():
        raise InvalidToken(f"Invalid Token: '{token}'")
    end = int(token) + size
    answer: dict[str, Any] = {name: items[int(token) : end]}
    if end < len(items):
        answer["nextToken"] = str(end)
    return answer
