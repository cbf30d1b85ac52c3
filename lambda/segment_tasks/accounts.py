"""The accounts of a run's parts, and what they come to."""

from typing import Any, NamedTuple

from . import objects
from .locations import Locations


class Accounts(NamedTuple):
    """What became of the queries of a run: of all, or of each part that has an account.

    Unfinished are parts of which more is to be collected; incomplete are other parts
    with missing queries, or without an account.
    """

    queries: int
    parts: list[dict[str, Any]]
    unfinished: list[int]
    incomplete: list[int]

    def sum(self, what: str) -> int:
        """Add up one of the counts of the parts."""
        return sum(int(each[what]) for each in self.parts)

    @property
    def missing(self) -> int:
        """How many queries have no answer."""
        return self.queries - self.sum("queries") + self.sum("missing")


def read(places: Locations, run: str, queries: int, parts: int) -> Accounts:
    """Read the accounts of a run's parts."""
    bucket = places.output_bucket
    written = set(objects.keys(bucket, places.accounts_folder(run)))
    found = []
    unfinished = []
    incomplete = []
    for part in range(parts):
        key = places.part_account(run, part)
        account = objects.read_json(bucket, key) if key in written else None
        if account and account["progress"]:
            unfinished.append(part)
            continue
        if account:
            found.append(account)
        if not account or account["missing"]:
            incomplete.append(part)
    return Accounts(queries, found, unfinished, incomplete)
