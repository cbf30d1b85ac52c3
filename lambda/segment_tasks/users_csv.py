"""The table of users: one row for each user of each segment."""

from typing import Final

HEADER: Final = b"query_id,rank,user_id\n"
_SPECIAL: Final = (b'"', b",", b"\r", b"\n")
# Ranks of a full thousand differ in their first digits only, which go in for the zeros.
_THOUSAND: Final = 1000
_ROWS: Final = b"".join(b"\0%03d,%%b\n" % rank for rank in range(_THOUSAND))


def quoted(users: list[bytes]) -> list[bytes]:
    """Quote what CSV of RFC 4180 needs quoted."""
    if not _is_special(b"\t".join(users)):
        return users
    return [
        b'"%b"' % user.replace(b'"', b'""') if _is_special(user) else user
        for user in users
    ]


def _is_special(text: bytes) -> bool:
    return any(each in text for each in _SPECIAL)


def rows(query_id: str, first_rank: int, users: list[bytes]) -> bytes:
    """Return rows of the table, as CSV of RFC 4180 with line feeds."""
    found = []
    start = 0
    name = query_id.encode()
    while start < len(users):
        thousands, rest = divmod(first_rank + start, _THOUSAND)
        some = users[start : start + _THOUSAND - rest]
        if thousands and len(some) == _THOUSAND:
            found.append(
                _ROWS.replace(b"\0", b"%b,%d" % (name, thousands)) % tuple(some)
            )
        else:
            ranked = enumerate(some, start=first_rank + start)
            found += [b"%b,%d,%b\n" % (name, rank, user) for rank, user in ranked]
        start += len(some)
    return b"".join(found)
