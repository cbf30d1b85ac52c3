"""Calls of services with values as templates have them, by the services' models.

CloudFormation takes "5" for 5 and "false" for false, as parameters of templates give
them, and refuses what a model rules out: an enumeration's other values, other patterns,
lengths and ranges. moto checks few of those.
"""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.model import ListShape, MapShape, Shape, StructureShape

from cdk_personalize_segments.local.untyped import Client, Json


class UnfitError(Exception):
    """A value is not what the model of a service allows."""


class CoercingClient:
    """A boto3 client that takes values as templates have them."""

    def __init__(self, client: Client) -> None:
        """Wrap a client.

        Args:
            client: The client.
        """
        self._client = client

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """Give an operation that fits its parameters first, or what else there is."""
        found = getattr(self._client, name)
        operation = self._client.meta.method_to_api_mapping.get(name)
        if operation is None:
            return found
        model = self._client.meta.service_model.operation_model(operation)
        return lambda **given: found(**fit(model.input_shape, given))


def fit(shape: Shape | None, value: Json, path: str = "") -> Json:
    """Convert a value to what a model says, and check it.

    Args:
        shape: What the model says, or None if it takes nothing.
        value: The value as a template has it.
        path: Where it is, for errors.

    Raises:
        UnfitError: It cannot be converted, or is not allowed.
    """
    if shape is None or getattr(shape, "is_document_type", False):
        return value
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        # botocore refuses members that there are not.
        return {
            name: fit(shape.members.get(name), each, _below(path, name))
            for name, each in value.items()
        }
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {
            key: fit(shape.value, each, _below(path, key))
            for key, each in value.items()
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        value = [fit(shape.member, each, path) for each in value]
    elif shape.type_name in _CONVERSIONS and isinstance(value, str | int | float):
        try:
            value = _CONVERSIONS[shape.type_name](value)
        except ValueError:
            raise UnfitError(
                f"Value '{value}' at '{path}' must be of type {shape.type_name}"
            ) from None
    else:
        return value
    _check(shape, value, path)
    return value


def is_true(value: Json) -> bool:
    """Read a boolean as templates have it.

    Args:
        value: A boolean or its text.

    Raises:
        ValueError: It is neither true nor false.
    """
    text = str(value).lower()
    if text not in ("true", "false"):
        raise ValueError(value)
    return text == "true"


def _whole(value: str | float) -> int:
    number = float(value)
    if not number.is_integer():
        raise ValueError(value)
    return int(value) if isinstance(value, str) and "." not in value else int(number)


def _text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_CONVERSIONS: Final[Mapping[str, Callable[[Any], Json]]] = {
    "boolean": is_true,
    "double": float,
    "float": float,
    "integer": _whole,
    "long": _whole,
    "string": _text,
}


def _below(path: str, name: str) -> str:
    """Write where a member is as services do."""
    name = name[:1].lower() + name[1:]
    return f"{path}.{name}" if path else name


def _check(shape: Shape, value: Json, path: str) -> None:
    rules = shape.metadata
    has_length = isinstance(value, str | list)
    size = len(value) if has_length else value
    what = "have length" if has_length else "have value"
    if "enum" in rules and value not in rules["enum"]:
        wrong = f"satisfy enum value set: [{', '.join(rules['enum'])}]"
    elif "pattern" in rules and not _matches(rules["pattern"], value):
        wrong = f"satisfy regular expression pattern: {rules['pattern']}"
    elif "min" in rules and size < rules["min"]:
        wrong = f"{what} greater than or equal to {rules['min']}"
    elif "max" in rules and size > rules["max"]:
        wrong = f"{what} less than or equal to {rules['max']}"
    else:
        return
    raise UnfitError(
        f"1 validation error detected: Value '{value}' at '{path}' failed to satisfy "
        f"constraint: Member must {wrong}"
    )


def _matches(pattern: str, text: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is None or compiled.fullmatch(text) is not None


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    r"""Compile a pattern, but for those with Java's own classes, as \p{L}."""
    try:
        return re.compile(pattern)
    except re.error:
        return None
