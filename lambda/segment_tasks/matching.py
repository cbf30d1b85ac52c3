"""Which line of a job's output answers which query."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .failures import shorten
from .output import QUERY_KEYS, Answer

SEGMENT: Final = "segment"
EMPTY: Final = "empty"
FAILED: Final = "failed"
MISSING: Final = "missing"
STATUSES: Final = (SEGMENT, EMPTY, FAILED, MISSING)
_LONGEST_ERROR: Final = 10_000
_NEITHER: Final = "The output has neither users nor an error for this query."


class Matching:
    """The different queries of a part, and the answers found for them.

    Attributes:
        answers: The answer of each query, or None.
        unrecognized: How many lines of the output answer none of them.
        by_order: How many queries got one of several answers by their order only.
    """

    def __init__(self, queries: Sequence[Mapping[str, Any]]) -> None:
        """Set what was asked."""
        self.answers: list[Answer | None] = [None] * len(queries)
        self.unrecognized = 0
        self.by_order = 0
        self._by_query: dict[str, list[int]] = {}
        self._by_subject: dict[str, list[int]] = {}
        for index, query in enumerate(queries):
            self._by_query[_identity(query)] = [index]
            self._by_subject.setdefault(_subject(query), []).append(index)

    def add(self, answer: Answer | None) -> None:
        """Find the query that a line answers: the first such one without an answer.

        Whether the service echoes filter values is not known. Where it does not,
        queries that differ in them only are told apart by their order.
        """
        candidates = self._candidates(answer)
        for index in candidates:
            if self.answers[index] is None:
                self.answers[index] = answer
                self.by_order += len(candidates) > 1
                return
        self.unrecognized += 1

    def _candidates(self, answer: Answer | None) -> list[int]:
        if answer is None:
            return []
        same = self._by_query.get(_identity(answer.query))
        if same is None and not answer.query.get("filterValues"):
            same = self._by_subject.get(_subject(answer.query))
        return same or []


def status(answer: Answer | None) -> str:
    """Tell what became of a query."""
    if answer is None:
        return MISSING
    if error(answer):
        return FAILED
    return SEGMENT if answer.users else EMPTY


def error(answer: Answer | None) -> str | None:
    """Return why a query failed, or None if it did not."""
    if answer is None:
        return None
    reason = answer.error or (_NEITHER if answer.users is None else None)
    return reason and shorten(reason, _LONGEST_ERROR)


def _identity(query: Mapping[str, Any]) -> str:
    return json.dumps(
        {key: query[key] for key in QUERY_KEYS if query.get(key)}, sort_keys=True
    )


def _subject(query: Mapping[str, Any]) -> str:
    return _identity({key: query.get(key) for key in QUERY_KEYS[:2]})
