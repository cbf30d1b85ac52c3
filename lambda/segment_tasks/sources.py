"""Which query files a run reads."""

from collections.abc import Iterator
from itertools import chain

from . import limits, objects
from .failures import InvalidInput
from .locations import Locations, uri
from .objects import Version


def find(asked: str | None, places: Locations) -> Iterator[Version]:
    """List the query files that an execution means, in the order of their keys.

    Asked for is a key or folder, with or without the queries prefix; None means all. An
    object of just this key wins over a folder; other keys that merely start with the
    same characters are never meant.

    Raises:
        InvalidInput: There is no such file, or there are too many.
    """
    wanted = places.queries_prefix
    if asked is not None:
        wanted += asked.removeprefix(places.queries_prefix)
        first = next(objects.versions(places.input_bucket, wanted), None)
        if first and first.key == wanted and not wanted.endswith("/"):
            return iter([first])
    folder = wanted if wanted.endswith("/") else f"{wanted}/"
    files = _files(places.input_bucket, folder)
    first = next(files, None)
    if first is None:
        raise InvalidInput(_nothing_there(asked, wanted, places))
    return chain([first], files)


def _files(bucket: str, folder: str) -> Iterator[Version]:
    files = (
        each for each in objects.versions(bucket, folder) if not each.key.endswith("/")
    )
    for number, file in enumerate(files):
        if number == limits.MAX_QUERY_FILES:
            raise InvalidInput(
                f"There are more than {limits.MAX_QUERY_FILES:,} query files in "
                f"{uri(bucket, folder)}, and one run reads at most so many; join them "
                "to fewer files, which may have any number of lines."
            )
        yield file


def _nothing_there(asked: str | None, wanted: str, places: Locations) -> str:
    expected = uri(places.input_bucket, places.queries_prefix)
    if asked is None:
        return f"There are no query files; upload them beneath {expected}."
    return (
        f"There is no query file {uri(places.input_bucket, wanted)}, nor a folder of "
        f"that name with files; the input's queries names a file or folder beneath "
        f"{expected}."
    )
