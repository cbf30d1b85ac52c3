"""The data of a dataset group: items, users and interactions, from CSV files."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ITEMS: Final = "items.csv"
INTERACTIONS: Final = "interactions.csv"
USERS: Final = "users.csv"
_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Dataset:
    """What a solution is trained on.

    Attributes:
        items: The values of each column, by item; several are separated by `|`.
        item_columns: The columns of `items.csv` besides `ITEM_ID`.
        users: The value of each column, by user, for those in `users.csv`.
        user_columns: The columns of `users.csv` besides `USER_ID`.
        weights: For each user, the sum of the weights of the interactions with each
            item: their EVENT_VALUE, or 1 where there is none.
        event_types: The types of each user's interactions.
        has_event_types: Whether `interactions.csv` has the column `EVENT_TYPE`.
    """

    items: Mapping[str, Mapping[str, tuple[str, ...]]]
    item_columns: frozenset[str]
    users: Mapping[str, Mapping[str, str]]
    user_columns: frozenset[str]
    weights: Mapping[str, Mapping[str, float]]
    event_types: Mapping[str, frozenset[str]]
    has_event_types: bool


def load(folder: str | Path) -> Dataset:
    """Read a dataset from a folder of CSV files.

    Args:
        folder: Holds `items.csv` (ITEM_ID and any other columns), `interactions.csv`
            (USER_ID, ITEM_ID and optionally EVENT_VALUE, EVENT_TYPE, TIMESTAMP) and
            optionally `users.csv` (USER_ID and any other columns). An EVENT_VALUE
            below 0 means that the user likes the item less than others.

    Returns:
        The data. The minimum sizes that the service asks for are not enforced, so
        that a test can make do with a handful of rows.

    Raises:
        FileNotFoundError: `items.csv` or `interactions.csv` is missing.
        ValueError: A column is missing, or an EVENT_VALUE is not a number.
    """
    place = Path(folder)
    item_columns, items = _table(place / ITEMS, "ITEM_ID")
    user_columns: frozenset[str] = frozenset()
    users: dict[str, Mapping[str, str]] = {}
    if (place / USERS).exists():
        user_columns, users = _table(place / USERS, "USER_ID")
    weights: defaultdict[str, defaultdict[str, float]] = defaultdict(
        lambda: defaultdict(float)
    )
    event_types: defaultdict[str, set[str]] = defaultdict(set)
    interactions = place / INTERACTIONS
    columns, rows = _rows(interactions, "USER_ID", "ITEM_ID")
    for line, row in rows:
        value = row.get("EVENT_VALUE")
        weights[row["USER_ID"]][row["ITEM_ID"]] += _weight(value, interactions, line)
        if row.get("EVENT_TYPE"):
            event_types[row["USER_ID"]].add(row["EVENT_TYPE"])
    return Dataset(
        items={
            item: {name: tuple(value.split("|")) for name, value in row.items()}
            for item, row in items.items()
        },
        item_columns=item_columns,
        users=users,
        user_columns=user_columns,
        weights={user: dict(of_user) for user, of_user in weights.items()},
        event_types={user: frozenset(types) for user, types in event_types.items()},
        has_event_types="EVENT_TYPE" in columns,
    )


def _table(path: Path, key: str) -> tuple[frozenset[str], dict[str, Mapping[str, str]]]:
    columns, rows = _rows(path, key)
    table: dict[str, Mapping[str, str]] = {
        row[key]: {name: value for name, value in row.items() if name != key and value}
        for _, row in rows
    }
    return frozenset(columns) - {key}, table


def _rows(
    path: Path, *required: str
) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; a dataset needs {ITEMS} and {INTERACTIONS}"
        )
    text = path.read_text(encoding="utf-8-sig").splitlines()
    reader = csv.DictReader(text, strict=True)
    columns = list(reader.fieldnames or [])
    missing = [name for name in required if name not in columns]
    if missing:
        raise ValueError(
            f"{path} has no column {', '.join(missing)} in its first line; it has "
            f"{', '.join(columns) or 'none'}"
        )
    return columns, ((reader.line_num, row) for row in reader)


def _weight(value: str | None, path: Path, line: int) -> float:
    if not value:
        return 1.0
    try:
        return float(value)
    except ValueError:
        raise ValueError(
            f"{path}, line {line}: EVENT_VALUE must be a number, got {value!r}"
        ) from None


def number(text: str) -> float | None:
    """Read a text as a number, or return None if it is another kind of value."""
    return float(text) if _NUMBER.fullmatch(text) else None
