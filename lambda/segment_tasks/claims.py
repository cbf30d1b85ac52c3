"""Which run reads an uploaded file: exactly one.

S3 tells of a file at least once, in any order and at any time. So the first run that
writes the claim of a version reads it; every other run leaves it out. A claim names its
run, so that a run which is tried again finds its own.
"""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from . import objects
from .clients import S3_AT_ONCE
from .failures import counted
from .locations import Locations
from .objects import Version
from .uploads import Upload

# How often a claim may come and go while one looks.
_ATTEMPTS: Final = 5
# So many files, and so many runs, are named in a note.
_NAMED: Final = 20


class Claims:
    """What one run takes of the files that its execution names."""

    def __init__(self, places: Locations, run: str) -> None:
        """Set who claims."""
        self._places = places
        self._run = run
        self._own: list[Upload] = []
        self._taken: dict[str, list[str]] = {}
        self._empty: list[str] = []
        self._gone: list[str] = []

    def take(self, uploads: Iterable[Upload]) -> list[Version]:
        """Claim files; return the versions that are this run's."""
        some = []
        for each in uploads:
            if each.size:
                some.append(each)
            else:
                self._empty.append(each.key)
        with ThreadPoolExecutor(S3_AT_ONCE) as pool:
            holders = pool.map(partial(_holder, self._places, self._run), some)
            for each, holder in zip(some, holders, strict=True):
                if holder == self._run:
                    self._own.append(each)
                else:
                    self._taken.setdefault(holder, []).append(each.key)
        return [
            Version(each.key, each.version_id, each.etag, each.size)
            for each in self._own
        ]

    def take_too(self, versions: Iterable[Version]) -> None:
        """Claim files that the run reads anyway, so that no run does on their upload.

        Without versions, what tells uploads apart is known to those alone who are told.
        """
        some = [
            Upload(each.key, each.id, None, each.etag, each.size)
            for each in versions
            if each.id
        ]
        with ThreadPoolExecutor(S3_AT_ONCE) as pool:
            claimed = pool.map(partial(_claim, self._places, self._run), some)
            self._own = [each for each, own in zip(some, claimed, strict=True) if own]

    def miss(self, key: str) -> None:
        """Note that a version is gone."""
        self._gone.append(key)

    def give_back(self) -> None:
        """Leave the files to other runs, since this one does nothing with them."""
        for each in self._own:
            objects.delete(self._places.input_bucket, _key(self._places, each))
        self._own = []

    def notes(self) -> list[str]:
        """Say which files the run leaves out, and why."""
        notes = [
            f"Left out, since the run {run} has them already: {named(keys)}."
            for run, keys in list(self._taken.items())[:_NAMED]
        ]
        more = len(self._taken) - _NAMED
        if more > 0:
            notes.append(f"Left out, since {counted(more, 'more run')} have others.")
        if self._gone:
            notes.append(
                "Left out, since they were deleted or have expired: "
                f"{named(self._gone)}."
            )
        if self._empty:
            notes.append(f"Left out, since they are empty: {named(self._empty)}.")
        return notes

    def nothing_left(self) -> str:
        """Say that none of the files is left to this run."""
        sentences = ["None of the uploaded files is left to read.", *self.notes()]
        if self._taken:
            sentences.append(
                "If a run named here was stopped before it read its files, start an "
                'execution with {"queries": "<file or folder>"} to read them.'
            )
        return " ".join(sentences)


def named(keys: list[str]) -> str:
    """Name some files, and say how many there are more."""
    more = len(keys) - _NAMED
    return f"{'; '.join(keys[:_NAMED])}{f'; and {more:,} more' if more > 0 else ''}"


def _key(places: Locations, upload: Upload) -> str:
    return places.claim(hashlib.sha256(upload.name.encode()).hexdigest())


def _claim(places: Locations, run: str, upload: Upload) -> bool:
    """Claim a file for a run, unless there is a claim."""
    content = objects.json_bytes({"run": run, **upload.described()})
    key = _key(places, upload)
    return objects.create(places.input_bucket, key, content, "application/json")


def _holder(places: Locations, run: str, upload: Upload) -> str:
    """Claim a file for a run; return the run that has it."""
    for _ in range(_ATTEMPTS):
        if _claim(places, run, upload):
            return run
        # Its own, if an attempt of this run was cut short, or an answer lost.
        claim = objects.read_json(places.input_bucket, _key(places, upload))
        if claim:
            return str(claim["run"])
    raise RuntimeError(f"the claim of {upload.key} comes and goes")
