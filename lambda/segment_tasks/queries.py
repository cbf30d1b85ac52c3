"""The lines of query files: what Personalize takes, and what to write instead.

The same checker serves the preparation of a run and the command line. What it says
never repeats what a line holds: its words end up in logs and messages.
"""

import json
import re
from typing import Any, Final, NamedTuple

from . import expressions, limits
from .lines import MAX_LINE_BYTES

KEY_OF_RECIPE: Final = {
    limits.ITEM_AFFINITY: "itemId",
    limits.ITEM_ATTRIBUTE_AFFINITY: "itemAttributes",
}
EXAMPLES: Final = {
    limits.ITEM_AFFINITY: '{"itemId": "105"}',
    limits.ITEM_ATTRIBUTE_AFFINITY: (
        r'{"itemAttributes": "ITEMS.genres = \"Comedy\" AND ITEMS.genres = \"Action\""}'
    ),
}
_FILTER_VALUES: Final = "filterValues"
_FILTER_EXAMPLE: Final = r'"filterValues": {"COUNTRY": "\"Japan\",\"France\""}'
NO_PLACEHOLDERS: Final = (
    "filterValues is only for a filter with placeholders, and this run has none; "
    "remove it, or give the run its filter"
)
# What is not seen: control characters, spaces, byte order marks and the like.
UNSEEN: Final = (
    "".join(
        map(
            chr,
            (*range(0x21), *range(0x7F, 0xA1), 0xAD, 0x1680, *range(0x2000, 0x2010)),
        )
    )
    + "\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
)
# Conversions leave such ends behind, but items may have ids like that.
_ODD_ENDS: Final = frozenset(UNSEEN + "\"'\u2018\u2019\u201c\u201d")
_DOUBTED_ENDS: Final = (
    "item ids that begin or end with a space, a quote or an invisible character (are "
    "the ids of the items so?)"
)
_ESCAPE: Final = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)|.", re.DOTALL)


class Query(NamedTuple):
    """A query that can be sent.

    Attributes:
        text: What to send, the same for queries that say the same.
        doubts: What in it the service's documentation leaves open.
    """

    text: bytes
    doubts: list[str]


class Problem(NamedTuple):
    """What is wrong with a line, from which column on (1 is the first)."""

    column: int
    reason: str


class _DuplicateKeyError(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key


def starts_query(text: str) -> bool:
    """Tell whether text looks like the start of a query, to whoever reads it."""
    return text.lstrip(UNSEEN).startswith("{")


def check(
    line: bytes, recipe: str, placeholders: frozenset[str] | None
) -> Query | list[Problem]:
    """Check one line of a query file: return the query, or what is wrong with it.

    Args:
        line: The line, not blank, without a byte order mark.
        recipe: The recipe's name, a key of `limits.QUERIES_PER_FILE`.
        placeholders: The names that `filterValues` must have: those of the filter's
            placeholders, none without a filter, or None if the filter is not known.
    """
    if len(line) > MAX_LINE_BYTES:
        reason = (
            f"the line is longer than {MAX_LINE_BYTES:,} bytes; write one query per "
            "line"
        )
        return [Problem(1, reason)]
    stripped = line.strip(b" \t\r")
    found = _check(stripped, recipe, placeholders)
    if isinstance(found, Query):
        return found
    indent = line.index(stripped)
    return [Problem(column + indent, reason) for column, reason in found]


def _check(
    line: bytes, recipe: str, placeholders: frozenset[str] | None
) -> Query | list[Problem]:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return [_not_text(line, error.start)]
    value = _parsed(text, recipe)
    if isinstance(value, Problem):
        return [value]
    found = [
        *_keys(text, value, recipe),
        *_value(text, value, recipe),
        *_filter_values(text, value, placeholders),
    ]
    problems = [each for each in found if isinstance(each, Problem)]
    doubts = [each for each in found if isinstance(each, str)]
    return problems or Query(_sent(value, KEY_OF_RECIPE[recipe]), doubts)


def _sent(value: dict[str, Any], key: str) -> bytes:
    text = f'"{key}": {_ENCODER.encode(value[key])}'
    if given := value.get(_FILTER_VALUES):
        text += f', "{_FILTER_VALUES}": {_ENCODER.encode(dict(sorted(given.items())))}'
    # Half a character, which JSON can name but UTF-8 cannot, becomes its escape.
    return f"{{{text}}}".encode(errors="backslashreplace")


def _not_text(line: bytes, position: int) -> Problem:
    column = len(line[:position].decode()) + 1
    return Problem(column, "the line is not valid UTF-8; save the file as UTF-8")


def _parsed(text: str, recipe: str) -> dict[str, Any] | Problem:
    example = EXAMPLES[recipe]
    if not text.startswith("{"):
        if starts_query(text):
            return Problem(1, _unseen(text[0]))
        return Problem(1, f"a line is a JSON object; write {example}")
    try:
        value: dict[str, Any] = _DECODER.decode(text)
    except _DuplicateKeyError as error:
        key = re.escape(_ENCODER.encode(error.key))
        starts = [match.start() for match in re.finditer(rf"{key}\s*:", text)]
        column = starts[-1] + 1 if starts else 1
        return Problem(column, "a key is there twice; write each once")
    except json.JSONDecodeError as error:
        return _not_json(text, error, example)
    except (ValueError, RecursionError):
        return Problem(1, f"the line cannot be read as JSON; write {example}")
    return value


def _unseen(character: str) -> str:
    name = "byte order mark" if character == "\ufeff" else "character"
    code = f"U+{ord(character):04X}"
    return f"an invisible {name}, {code}, stands before the query; delete it"


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKeyError(key)
            seen.add(key)
    return value


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_without_duplicates)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)


def _not_json(text: str, error: json.JSONDecodeError, example: str) -> Problem:
    column = error.pos + 1
    if error.msg == "Extra data":
        if text[error.pos :].strip() == ",":
            return Problem(column, "remove the comma at the end of the line")
        return Problem(column, "something follows the query; write one query per line")
    if error.pos >= len(text):
        return Problem(
            column,
            f"the query goes on in another line; write it on one line, like {example}",
        )
    if '\\"' in text[: error.pos] or error.msg.startswith("Expecting ',' delimiter"):
        return Problem(
            column,
            f'the line is not valid JSON here; write it like {example}, with \\" for '
            "each quote inside a value",
        )
    return Problem(
        column, f"the line is not valid JSON here ({error.msg}); write {example}"
    )


def _keys(text: str, value: dict[str, Any], recipe: str) -> list[Problem]:
    wanted = KEY_OF_RECIPE[recipe]
    found = []
    for key in value:
        if key in {wanted, _FILTER_VALUES}:
            continue
        if key in KEY_OF_RECIPE.values():
            reason = (
                f"{key} is for the other recipe; for {recipe} write {EXAMPLES[recipe]}"
            )
        else:
            reason = (
                f"a key is not known; allowed are {wanted} and {_FILTER_VALUES}, "
                f"in just this spelling, as in {EXAMPLES[recipe]}"
            )
        found.append(Problem(_column_of_key(text, key), reason))
    if wanted not in value and not found:
        found.append(Problem(1, f"{wanted} is missing; write {EXAMPLES[recipe]}"))
    return found


def _value(text: str, value: dict[str, Any], recipe: str) -> list[Problem] | list[str]:
    key = KEY_OF_RECIPE[recipe]
    if key not in value:
        return []
    if not isinstance(value[key], str):
        reason = f"{key} must be a string, in double quotes; write {EXAMPLES[recipe]}"
        return [Problem(_column_of_value(text, key), reason)]
    if recipe == limits.ITEM_ATTRIBUTE_AFFINITY:
        return _item_attributes(text, value[key])
    length = len(value[key])
    if 1 <= length <= limits.MAX_ITEM_ID_LENGTH:
        ends = (value[key][0], value[key][-1])
        return [] if _ODD_ENDS.isdisjoint(ends) else [_DOUBTED_ENDS]
    reason = (
        f"itemId has {length} characters; Personalize takes at most "
        f"{limits.MAX_ITEM_ID_LENGTH}"
        if length
        else "itemId is empty; write the id of an item"
    )
    return [Problem(_column_of_value(text, key), reason)]


def _item_attributes(text: str, value: str) -> list[Problem] | list[str]:
    try:
        doubts = expressions.check(value)
    except expressions.ExpressionError as error:
        # The column is one in the line, where quotes are escaped.
        column = _column_of_value(text, "itemAttributes")
        inside = _raw_length(text[column:], error.position)
        return [Problem(column + 1 + inside, error.message)]
    return [f"{each} in itemAttributes" for each in doubts]


def _filter_values(
    text: str, value: dict[str, Any], placeholders: frozenset[str] | None
) -> list[Problem] | list[str]:
    given = value.get(_FILTER_VALUES, {})
    if given == {} and not placeholders:
        return []
    column = _column_of_key(text, _FILTER_VALUES)
    if not isinstance(given, dict):
        return [
            Problem(column, f"filterValues must be an object; write {_FILTER_EXAMPLE}")
        ]
    if given and placeholders is not None and not placeholders:
        return [Problem(column, NO_PLACEHOLDERS)]
    found = []
    if placeholders is not None:
        names = ", ".join(sorted(placeholders))
        missing = ", ".join(sorted(placeholders - given.keys()))
        if missing:
            found.append(
                Problem(
                    column,
                    f"the filter needs a value for {missing}; write it in "
                    f"filterValues, as in {_FILTER_EXAMPLE}",
                )
            )
        if given.keys() - placeholders:
            found.append(
                Problem(
                    column,
                    "filterValues has a name that is no placeholder of the filter; "
                    f"allowed: {names}, without $",
                )
            )
    doubts: dict[str, None] = {}
    for each in given.values():
        open_in_it = expressions.check_values(each) if isinstance(each, str) else None
        if open_in_it is None:
            reason = (
                "a filter value must be a string of quoted values, separated by "
                f"commas; write {_FILTER_EXAMPLE}"
            )
            return [*found, Problem(column, reason)]
        doubts |= dict.fromkeys(f"{doubt} in filterValues" for doubt in open_in_it)
    return found or list(doubts)


def _column_of_key(text: str, key: str) -> int:
    return text.find(_ENCODER.encode(key)) + 1 or 1


def _column_of_value(text: str, key: str) -> int:
    match = re.search(rf'"{key}"\s*:\s*', text)
    return match.end() + 1 if match else 1


def _raw_length(raw: str, characters: int) -> int:
    r"""Return how much of a JSON string's inside decodes to some characters.

    Characters beyond the Basic Multilingual Plane may be written as two escapes,
    each of four digits.
    """
    length = 0
    for match in _ESCAPE.finditer(raw):
        if characters <= 0:
            break
        length = match.end()
        if not re.match(r"\\u[dD][89abAB]", match[0]):
            characters -= 1
    return length
