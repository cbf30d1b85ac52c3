"""Files that hold no queries: what they are, and how to make query files of them.

The advice holds commands for any shell (double quotes outside, single ones inside)
that need nothing but Python. They fail rather than change an id: numbers must be whole,
columns must be named. What they print is ASCII, which no console changes.
"""

import json
import re
from typing import Final

from .lines import MAX_LINE_BYTES
from .queries import EXAMPLES, KEY_OF_RECIPE, UNSEEN, starts_query

GZIP: Final = b"\x1f\x8b"
_UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_FILE: Final = "open('FILE', encoding='utf-8-sig')"
_LINES: Final = f"{_FILE} if x.strip()"
_ARRAY: Final = f"json.load({_FILE})"
# A closing brace at the start of a line ends an object: strings have no line ends.
_OBJECTS: Final = rf"{_FILE}.read().split('\n}}') if x.strip()"
_HEADING: Final = re.compile(r"\W*(?:item[\W_]?)?(?:ids?|attributes?)\W*", re.I)
_NEXT_AFTER_CR: Final = re.compile(rb"\}\s*\r\s*\{")


def other_kind(head: list[bytes], recipe: str) -> str | None:
    """Say what a file is if it is not JSON Lines, by its first two lines.

    Blank lines do not count.
    """
    if not head:
        return None
    first = head[0].strip()
    if first.startswith(GZIP):
        return "the file is compressed twice; compress it once"
    if first.startswith(_UTF_16_MARKS):
        return "the file is UTF-16; save it as UTF-8"
    example = f"write one query per line, like {EXAMPLES[recipe]}"
    if b"\0" in first:
        return f"the file is binary; {example}"
    text = first.decode(errors="replace").lstrip(UNSEEN)
    second = head[1].decode(errors="replace").strip() if len(head) > 1 else ""
    if text.startswith("["):
        element = text[1:].lstrip() or second
        advice = _converted(_of_element(element, KEY_OF_RECIPE[recipe]), _ARRAY)
        return (
            f"the file is a JSON array; {example}, without brackets and commas{advice}"
        )
    if not second and _has_bare_returns(first):
        return "the lines end with CR only; save the file with LF as line end"
    if text == "{" or _goes_on(text, second):
        advice = _converted("json.loads(x + '}')", _OBJECTS)
        return f"the file is JSON over several lines; {example}{advice}"
    if any(map(_starts_query, head)):
        return None
    if "\ufffd" in text and not _is_utf_8(first):
        return f"the file is neither JSON nor UTF-8; {example}, in UTF-8"
    return _values(text, recipe, example)


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        # One that is too long was cut, perhaps within a character.
        return len(line) > MAX_LINE_BYTES
    return True


def _starts_query(line: bytes) -> bool:
    return starts_query(line.decode(errors="replace"))


def _has_bare_returns(only: bytes) -> bool:
    if only.startswith(b"{"):
        return _NEXT_AFTER_CR.search(only) is not None
    return b"\r" in only


def _goes_on(first: str, second: str) -> bool:
    """Tell whether an object begins in the first line and does not end there."""
    if not first.startswith("{") or second.startswith("{"):
        return False
    return second != "" and _breaks_off(first) and _breaks_off(f"{first}\n{second}")


def _breaks_off(text: str) -> bool:
    """Tell whether text is JSON so far; also if it is complete."""
    if len(text) > MAX_LINE_BYTES:
        return False
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(text)
    except (ValueError, RecursionError):
        return False
    return True


def _values(first: str, recipe: str, example: str) -> str:
    """Say how to convert a file of other values than queries."""
    key = KEY_OF_RECIPE[recipe]
    if "{" in first:
        if first.startswith('"{') and _is_string(first):
            advice = _converted("json.loads(json.loads(x))", _LINES)
            return f"each line is a query inside a JSON string; {example}{advice}"
        return f"the file is not JSON Lines; {example}"
    if _is_string(first):
        query = f"{{'{key}': json.loads(x)}}"
        return (
            f"the file is a list of JSON strings; {example}{_converted(query, _LINES)}"
        )
    delimiter = _delimiter(first)
    if delimiter and not (key == "itemAttributes" and "=" in first):
        return f"the file is a table; {example}{_from_table(key, delimiter)}"
    if _HEADING.fullmatch(first):
        return f"the file is a table of one column; {example}{_from_table(key, ',')}"
    advice = _converted(f"{{'{key}': x.strip()}}", _LINES)
    return (
        f"the file is a list of plain values; {example}{advice}; "
        "delete its heading before, if it has one"
    )


def _is_string(text: str) -> bool:
    try:
        return isinstance(json.loads(text), str)
    except (ValueError, RecursionError):
        return False


def _delimiter(line: str) -> str | None:
    return next((each for each in "\t;," if each in line), None)


def _from_table(key: str, delimiter: str) -> str:
    how = "" if delimiter == "," else f", delimiter={delimiter!r}"
    rows = f"csv.DictReader(open('FILE', encoding='utf-8-sig', newline=''){how})"
    advice = _converted(f"{{'{key}': x['COLUMN'].strip()}}", rows, "csv, json")
    name = "ids" if key == "itemId" else "expressions"
    return f"{advice}, with the heading of the {name} in the first line for COLUMN"


def _of_element(element: str, key: str) -> str | None:
    """Return how to make a query of an array's elements, by how the first begins."""
    if element.startswith("{"):
        return "x"
    if element.startswith('"{'):
        return "json.loads(x)"
    if element.startswith('"'):
        return f"{{'{key}': x}}"
    if key == "itemId" and element[:1].isdecimal():
        return "{'itemId': f'{x:d}'}"
    return None


def _converted(query: str | None, source: str, modules: str = "json") -> str:
    """Return the command that prints a query for each x of a source."""
    if query is None:
        return ""
    code = f"import {modules}; [print(json.dumps({query})) for x in {source}]"
    return f'; convert it with python3 -c "{code}" > NEW_FILE'
