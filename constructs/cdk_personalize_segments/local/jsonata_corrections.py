"""Sets right where the Python library differs from the JSONata of Step Functions.

The language's own implementation, in JavaScript, is the measure:
https://github.com/jsonata-js/jsonata/blob/v2.0.6/src/functions.js
"""

import functools
import json
import math
import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from jsonata.functions import Functions
from jsonata.jexception import JException
from jsonata.jsonata import Jsonata
from jsonata.parser import Parser
from jsonata.regex_engine import RegexFlags
from jsonata.utils import Utils

from cdk_personalize_segments.local.untyped import Json

# From which size on JavaScript writes numbers with an exponent.
_LARGE: Final = 1e21
_SMALL: Final = 1e-6
_DIGITS: Final = 15
_FRACTION: Final = re.compile(r"\.([0-9#,]*)")
_PART: Final = re.compile(r"\\.|\[(?:\\.|[^\]])*\]|\$")


class UnsupportedPatternError(Exception):
    """A regular expression means something else to Python, or is none to JSONata."""


def compile_pattern(pattern: str, flags: RegexFlags) -> "re.Pattern[str]":
    """Compile a regular expression so that it means what it does in JavaScript.

    Args:
        pattern: The regular expression.
        flags: Those of the JSONata literal.

    Raises:
        UnsupportedPatternError: It matches the empty text, at which JSONata fails
            with D1004.
    """
    compiled = re.compile(
        _PART.sub(lambda found: _translated(found[0], flags), pattern),
        (re.IGNORECASE if flags.case_insensitive else re.NOFLAG)
        | (re.MULTILINE if flags.multiline else re.NOFLAG),
    )
    if compiled.fullmatch(""):
        raise UnsupportedPatternError(
            f"the regular expression /{pattern}/ matches the empty text"
        )
    return compiled


def _translated(part: str, flags: RegexFlags) -> str:
    """Write an escape, a class or a $ so that Python takes it as JavaScript does."""
    if part == "$":
        # Python's matches before a last line feed as well.
        return "$" if flags.multiline else r"\Z"
    if part[0] == "[":
        return part.replace(r"\d", "0-9").replace(r"\w", "A-Za-z0-9_")
    # Digits and letters are those of ASCII.
    return f"(?a:{part})" if part[1] in "bBdDwW" else part


class CorrectedJsonata(Jsonata):  # type: ignore[misc]
    """An expression whose operator & writes values as JSONata does."""

    def evaluate_string_concat(self, lhs: Json, rhs: Json) -> str:
        """Join two values as texts; one that does not exist is empty."""
        return (_string(lhs) or "") + (_string(rhs) or "")


def _string(value: Json, prettify: bool | None = None) -> str | None:
    """Write a value: numbers with 15 digits, and no character escaped needlessly."""
    if isinstance(value, Utils.JList) and value.outer_wrapper:
        value = value[0]
    if value is None or isinstance(value, str):
        return value
    if Utils.is_function(value) or isinstance(value, Parser.Symbol):
        return ""
    return _written(value, "  " if prettify else "", "\n" if prettify else "")


def _written(value: Json, indent: str, line: str) -> str:
    if value is None or value is Utils.NULL_VALUE:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    colon = ": " if indent else ":"
    if isinstance(value, Mapping):
        parts = [
            f"{json.dumps(key, ensure_ascii=False)}{colon}"
            f"{_written(each, indent, line and line + indent)}"
            for key, each in value.items()
        ]
        opening, closing = "{", "}"
    elif isinstance(value, list | tuple):
        parts = [_written(each, indent, line and line + indent) for each in value]
        opening, closing = "[", "]"
    else:
        return '""'
    if not parts:
        return opening + closing
    inner = line and line + indent
    return f"{opening}{inner}{f',{inner}'.join(parts)}{line}{closing}"


def _number(value: float) -> str:
    """Write a number as JavaScript does, after rounding it to 15 digits."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return "null"
        value = float(f"{value:.{_DIGITS}g}")
    if value == 0:
        return "0"
    if _SMALL <= abs(value) < _LARGE:
        return f"{Decimal(repr(value)).normalize():f}"
    mantissa, _, exponent = f"{float(value)!r}".partition("e")
    if not exponent:
        mantissa, _, exponent = f"{float(value):.{_DIGITS - 1}e}".partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    sign = "+" if int(exponent) > 0 else "-"
    return f"{mantissa}e{sign}{abs(int(exponent))}"


def _sort(items: Json, comparator: Json = None) -> Json:
    """Sort by a function that tells whether two items are in the wrong order.

    Items that it does not tell apart keep their order.
    """
    if items is None or not isinstance(items, list):
        return items if items is None else [items]
    if comparator is None:
        kinds = {_kind(each) for each in items}
        if len(kinds) > 1 or kinds - {"number", "text"}:
            raise JException("D3070", -1)
        return sorted(items)

    def compare(item: Json, other: Json) -> int:
        # Python asks whether the one comes before the other.
        return -1 if Functions.func_apply(comparator, [other, item]) else 1

    return sorted(items, key=functools.cmp_to_key(compare))


def _kind(value: Json) -> str:
    if isinstance(value, str):
        return "text"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "number" if is_number else "other"


def _distinct(items: Json) -> Json:
    """Leave out what is there before; true is not 1, and one item stays a list."""
    if not isinstance(items, list) or len(items) <= 1:
        return items
    seen: dict[str, Any] = {}
    for each in items:
        seen.setdefault(_key(each), each)
    found = list(seen.values())
    return Utils.create_sequence_from_iter(found) if Utils.is_sequence(items) else found


def _key(value: Json) -> str:
    """Write a value so that equal ones are written equally."""
    if isinstance(value, Mapping):
        pairs = sorted((key, _key(each)) for key, each in value.items())
        return f"{{{pairs}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_key, value))}]"
    return _written(value, "", "")


def _format_number(value: Json, picture: str, options: Json = None) -> Json:
    """Format a number, rounded half to even by its decimal digits."""
    if value is None:
        return None
    if isinstance(value, int | float) and not set(picture) & set("eE%‰"):
        fraction = _FRACTION.search(picture.split(";")[0])
        digits = (
            len(re.sub(r"\D", "0", fraction[1].replace(",", ""))) if fraction else 0
        )
        step = Decimal(1).scaleb(-digits)
        value = float(Decimal(repr(value)).quantize(step, ROUND_HALF_EVEN))
    return Functions.format_number(value, picture, options)


class Correction(Jsonata.JLambda):  # type: ignore[misc]
    """A function that takes the place of one of the library's."""

    def __init__(
        self, function: Callable[..., Any], lacks_first: Callable[[Json], bool]
    ) -> None:
        """Correct a function.

        Args:
            function: What takes its place.
            lacks_first: Tells of arguments whether the first is missing, so that it
                is what stands before the dot.
        """
        super().__init__(function)
        self._lacks_first = lacks_first

    def validate(self, args: Json, context: Json) -> Json:
        """Complete the arguments."""
        return [context, *args] if self._lacks_first(args) else args


CORRECTIONS: Final[Mapping[str, Correction]] = {
    "distinct": Correction(_distinct, lambda _: False),
    "formatNumber": Correction(
        _format_number, lambda args: bool(args) and isinstance(args[0], str)
    ),
    "sort": Correction(_sort, lambda _: False),
    "string": Correction(_string, lambda args: not args),
}
"""Functions that take the place of the library's."""
