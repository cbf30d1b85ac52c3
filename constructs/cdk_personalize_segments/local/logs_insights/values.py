"""Values of log queries: texts, numbers and times; None for what is not there.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/
CWL_AnalyzeLogData-discoverable-fields.html. The guide leaves open, and local AWS takes
it so: true and false in JSON are 1 and 0, text that is a number compares as one, a
comparison never holds for a field that is not there, `!=` and `not like` included, and
numbers are written with all their digits.
"""

import json
import math
import re
from datetime import UTC, datetime
from typing import Final, TypeAlias

from cdk_personalize_segments.local.untyped import Json

MOST_FIELDS: Final = 200
"""How many fields of an event in JSON are found."""
_PARTS: Final = re.compile(r"[0-9]+|[A-Za-z]+|[^0-9A-Za-z]+")
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")


class Time(float):
    """A time, in milliseconds since 1970."""


Value: TypeAlias = str | float | Time | None


def number(value: Value) -> float | None:
    """Give the number that a value is, or None."""
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else None
    return None if value is None else float(value)


def text(value: Value) -> str | None:
    """Write a value as results do, or None if there is none."""
    if isinstance(value, Time):
        written = datetime.fromtimestamp(value / 1000, UTC)
        return f"{written:%Y-%m-%d %H:%M:%S}.{written.microsecond // 1000:03d}"
    if isinstance(value, float | int):
        if not math.isfinite(value):
            return None
        return str(int(value)) if value == int(value) else repr(float(value))
    return value


def truth(value: Value) -> bool:
    """Tell whether a value counts as true."""
    return bool(number(value))


def order(value: Value) -> tuple[int, float, tuple[tuple[int, int, str], ...]]:
    """Give what values are put in order by: none, texts, then numbers.

    Texts are compared in parts, of which those of digits by their length first. Where
    what has no value comes is not documented. Source:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Sort.html
    """
    as_number = number(value)
    if as_number is not None:
        return 2, as_number, ()
    if value is None:
        return 0, 0, ()
    parts = tuple(
        (ord("0"), len(part), part) if part.isdecimal() else (ord(part[0]), 0, part)
        for part in _PARTS.findall(str(value))
    )
    return 1, 0, parts


def discovered(message: str, *, embedded: bool) -> dict[str, Value]:
    """Find the fields of an event in JSON, those within others by their path.

    Args:
        message: The event.
        embedded: Whether JSON may come after other text.
    """
    start = message.find("{")
    if start < 0 or (message[:start].strip() and not embedded):
        return {}
    try:
        found, _ = json.JSONDecoder().raw_decode(message, start)
    except ValueError:
        return {}
    fields: dict[str, Value] = {}
    _flatten(found, "", fields)
    return fields


def _flatten(value: Json, path: str, fields: dict[str, Value]) -> None:
    if len(fields) >= MOST_FIELDS or value is None:
        return
    if isinstance(value, dict):
        for name, each in value.items():
            key = f"@{name}" if name.startswith("@") and not path else name
            _flatten(each, f"{path}.{key}" if path else key, fields)
    elif isinstance(value, list):
        for place, each in enumerate(value):
            _flatten(each, f"{path}.{place}" if path else str(place), fields)
    elif isinstance(value, bool):
        fields[path] = float(value)
    else:
        fields[path] = value if isinstance(value, str) else float(value)
