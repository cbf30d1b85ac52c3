"""Errors as the Personalize API answers them."""

from collections.abc import Mapping
from typing import Final

INVALID_INPUT: Final = "InvalidInputException"
RESOURCE_NOT_FOUND: Final = "ResourceNotFoundException"
RESOURCE_ALREADY_EXISTS: Final = "ResourceAlreadyExistsException"
RESOURCE_IN_USE: Final = "ResourceInUseException"
LIMIT_EXCEEDED: Final = "LimitExceededException"
INVALID_NEXT_TOKEN: Final = "InvalidNextTokenException"  # noqa: S105
TOO_MANY_TAGS: Final = "TooManyTagsException"
TOO_MANY_TAG_KEYS: Final = "TooManyTagKeysException"
# Not the service's: local AWS does not honour what was asked for.
NOT_IMPLEMENTED: Final = "NotImplemented"

# The texts are those of the service's model and of its list of common errors:
# https://docs.aws.amazon.com/personalize/latest/dg/CommonErrors.html
MESSAGES: Final[Mapping[str, str]] = {
    INVALID_INPUT: "Provide a valid value for the field or parameter.",
    RESOURCE_NOT_FOUND: "Could not find the specified resource.",
    RESOURCE_ALREADY_EXISTS: "The specified resource already exists.",
    LIMIT_EXCEEDED: "The limit on the number of requests per second has been exceeded.",
    INVALID_NEXT_TOKEN: "The token is not valid.",
    TOO_MANY_TAGS: (
        "You have exceeded the maximum number of tags you can apply to this resource."
    ),
    TOO_MANY_TAG_KEYS: (
        "The request contains more tag keys than can be associated with a resource "
        "(50 tag keys per resource)."
    ),
    RESOURCE_IN_USE: "The specified resource is in use.",
    "ThrottlingException": "The request was denied due to request throttling.",
    "AccessDeniedException": (
        "You do not have sufficient access to perform this action."
    ),
    "InternalFailure": (
        "The request processing has failed because of an unknown error, exception or "
        "failure."
    ),
    "ServiceUnavailable": (
        "The request has failed due to a temporary failure of the server."
    ),
}
"""The errors that `script` knows the usual text of, and that text."""
_STATUSES: Final = {
    "AccessDeniedException": 403,
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
}


class PersonalizeError(Exception):
    """An error answer of the service.

    Attributes:
        code: The exception's name, like `LimitExceededException`.
        message: Its text.
        status: The HTTP status: 400, except 403 for denied access and 5xx for
            failures of the service.
    """

    def __init__(self, code: str, message: str | None = None) -> None:
        """Make an error.

        Args:
            code: The exception's name.
            message: Its text. Default: that of the service's model.
        """
        self.code = code
        self.message = MESSAGES.get(code, code) if message is None else message
        self.status = _STATUSES.get(code, 400)
        super().__init__(f"{code}: {self.message}")


def invalid_input(message: str) -> PersonalizeError:
    """Make the error for a value that the service does not take."""
    return PersonalizeError(INVALID_INPUT, message)


def not_found(arn: str) -> PersonalizeError:
    """Make the error for a resource that does not exist."""
    return PersonalizeError(RESOURCE_NOT_FOUND, f"Resource Arn {arn} does not exist.")


def already_exists(kind: str, name: str) -> PersonalizeError:
    """Make the error for a name that is taken."""
    return PersonalizeError(
        RESOURCE_ALREADY_EXISTS, f"Another {kind} with the name {name} exists already."
    )


def in_use(message: str) -> PersonalizeError:
    """Make the error for a resource that others depend on."""
    return PersonalizeError(RESOURCE_IN_USE, message)


def limit_exceeded(message: str) -> PersonalizeError:
    """Make the error for one resource too many."""
    return PersonalizeError(LIMIT_EXCEEDED, message)


def not_emulated(message: str) -> PersonalizeError:
    """Make the error for what the service does and local AWS does not."""
    return PersonalizeError(NOT_IMPLEMENTED, message)
