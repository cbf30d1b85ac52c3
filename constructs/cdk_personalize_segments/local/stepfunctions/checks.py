"""What every check of a definition is made of: refusals that name the place."""

import re
from collections.abc import Container, Mapping
from datetime import datetime
from typing import Any, Final

from cdk_personalize_segments.local import jsonata
from cdk_personalize_segments.local.untyped import Json

LONGEST_WAIT: Final = 99_999_999
_TIMESTAMP: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
)


class InvalidDefinitionError(Exception):
    """A definition cannot be accepted; the text says why and where.

    Attributes:
        code: The kind of mistake, like `SCHEMA_VALIDATION_FAILED`.
        message: What is wrong.
        location: Where, like `/States/Wait/Seconds`.
    """

    def __init__(self, code: str, message: str, location: str | None = None) -> None:
        """Describe the mistake.

        Args:
            code: Its kind.
            message: What is wrong.
            location: Where, or None for the definition as a text.
        """
        at = "" if location is None else f" at {location or '/'}"
        super().__init__(f"{code}: {message}{at}")
        self.code = code
        self.message = message
        self.location = location


def expression(value: object) -> str | None:
    """Give the expression that a string holds.

    Args:
        value: Anything.

    Returns:
        What stands between `{%` and `%}`, or None if it is not that.
    """
    if isinstance(value, str) and value.startswith("{%") and value.endswith("%}"):
        return value[2:-2].strip()
    return None


def check_expressions(value: Json, at: str, *, in_catch: bool = False) -> None:
    """Check every expression in a field.

    Args:
        value: What the definition says.
        at: The place of the field.
        in_catch: Whether `$states.errorOutput` exists.

    Raises:
        InvalidDefinitionError: One does not parse, or names what is not there.
    """
    text = expression(value)
    if text is not None:
        try:
            jsonata.check(text, in_catch=in_catch)
        except jsonata.UnsupportedExpressionError as error:
            raise InvalidDefinitionError(
                "UNSUPPORTED_JSONATA_EXPRESSION", str(error), at
            ) from None
    elif isinstance(value, dict):
        for key, each in value.items():
            check_expressions(each, f"{at}/{key}", in_catch=in_catch)
    elif isinstance(value, list):
        for position, each in enumerate(value):
            check_expressions(each, f"{at}[{position}]", in_catch=in_catch)


def check_fields(
    value: Json,
    allowed: frozenset[str],
    at: str,
    needed: frozenset[str] = frozenset(),
) -> None:
    """Check that an object has no fields but those that are honoured.

    Args:
        value: What the definition says.
        allowed: The fields that are honoured.
        at: The place of the object.
        needed: The fields that it must have.

    Raises:
        InvalidDefinitionError: It is no object, or has or lacks a field.
    """
    if not isinstance(value, dict):
        raise wrong("it must be an object", at)
    for field in value:
        if field not in allowed:
            raise wrong(f"field '{field}' is not supported", f"{at}/{field}")
    for field in sorted(needed - set(value)):
        raise wrong(f"{field} is needed", at)


def check_whole(
    holder: Mapping[str, Any], field: str, least: int, at: str, most: int = LONGEST_WAIT
) -> None:
    """Check a field that holds a whole number, or an expression for one.

    Args:
        holder: What has the field, or does not.
        field: Its name.
        least: The smallest number allowed.
        at: The place of the holder.
        most: The largest number allowed.

    Raises:
        InvalidDefinitionError: It is something else.
    """
    value = holder.get(field, least)
    if expression(value) is not None:
        check_expressions(value, f"{at}/{field}")
    elif not is_whole(value, least, most):
        raise wrong(
            f"{field} must be a whole number of at least {least}"
            + ("" if most == LONGEST_WAIT else f" and at most {most}"),
            f"{at}/{field}",
        )


def is_whole(value: object, least: int, most: int | None = None) -> bool:
    """Tell whether something is a whole number within bounds."""
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and value >= least
        and (most is None or value <= most)
    )


def is_one_of(value: object, names: Container[str]) -> bool:
    """Tell whether something is a string, and one of some names."""
    return isinstance(value, str) and value in names


def read_timestamp(text: object) -> datetime:
    """Read a timestamp in the profile of ISO-8601 that RFC 3339 describes.

    Args:
        text: What a definition or an expression says.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(text, str) or not _TIMESTAMP.fullmatch(text):
        raise ValueError(
            f"Timestamp must be like 2026-03-01T12:00:00Z, not {text!r}",
        )
    return datetime.fromisoformat(text)


def wrong(what: str, at: str) -> InvalidDefinitionError:
    """Give the refusal of a definition that has not the shape it must have."""
    return InvalidDefinitionError("SCHEMA_VALIDATION_FAILED", what, at)
