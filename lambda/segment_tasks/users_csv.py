"""The table of users: one row for each user of each segment."""

import re
from collections.abc import Sequence
from typing import Final

HEADER: Final = b"query_id,rank,user_id\n"
_NEEDS_QUOTES: Final = re.compile('[",\r\n]')


def rows(query_id: str, first_rank: int, users: Sequence[str]) -> bytes:
    """Return rows of the table, as CSV of RFC 4180 with line feeds."""
    if _NEEDS_QUOTES.search("\t".join(users)):
        users = [_quoted(user) for user in users]
    return "".join(
        [
            f"{query_id},{rank},{user}\n"
            for rank, user in enumerate(users, start=first_rank)
        ]
    ).encode()


def _quoted(user: str) -> str:
    if _NEEDS_QUOTES.search(user):
        return '"' + user.replace('"', '""') + '"'
    return user
