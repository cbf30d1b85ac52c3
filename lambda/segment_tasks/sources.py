"""The query files of a run: which ones an execution means."""

from collections.abc import Iterator
from itertools import chain

from . import objects
from .failures import InvalidInput
from .locations import Locations, uri


def find(asked: str | None, places: Locations) -> Iterator[str]:
    """List the keys of the query files that an execution means, in key order.

    Asked for is a key or folder, with or without the queries prefix; None means all. An
    object of just this key wins over a folder; other keys that merely start with the
    same characters are never meant.

    Raises:
        InvalidInput: There is no such file.
    """
    wanted = places.queries_prefix
    if asked is not None:
        wanted += asked.removeprefix(places.queries_prefix)
        if [wanted] == list(objects.keys(places.input_bucket, wanted, at_most=1)) and (
            not wanted.endswith("/")
        ):
            return iter([wanted])
    folder = wanted if wanted.endswith("/") else f"{wanted}/"
    files = (
        key
        for key in objects.keys(places.input_bucket, folder)
        if not key.endswith("/")
    )
    first = next(files, None)
    if first is None:
        raise InvalidInput(_nothing_there(asked, wanted, places))
    return chain([first], files)


def _nothing_there(asked: str | None, wanted: str, places: Locations) -> str:
    expected = uri(places.input_bucket, places.queries_prefix)
    if asked is None:
        return f"There are no query files; upload them beneath {expected}."
    return (
        f"There is no query file {uri(places.input_bucket, wanted)}, nor a folder of "
        f"that name with files; the input's queries names a file or folder beneath "
        f"{expected}."
    )
