"""Which line of a job's output answers which query."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from .output import QUERY_KEYS, Answer

SEGMENT: Final = "segment"
EMPTY: Final = "empty"
FAILED: Final = "failed"
MISSING: Final = "missing"
_NEITHER: Final = "The output has neither users nor an error for this query."


class Asked(NamedTuple):
    """A query of a part, as the part's index has it."""

    query_id: str
    file: str
    line: int
    query: dict[str, Any]


class Matching:
    """The queries of a part, and the answers found for them.

    Attributes:
        asked: The queries, in the order of the part.
        unrecognized: How many lines of the output answer none of them.
        by_order: How many queries got one of several answers by their order only.
    """

    def __init__(self, asked: Iterable[Asked]) -> None:
        """Set what was asked."""
        self.asked = tuple(asked)
        self.unrecognized = 0
        self.by_order = 0
        self._answers: list[Answer | None] = [None] * len(self.asked)
        self._by_query: dict[str, list[int]] = {}
        self._by_subject: dict[str, list[int]] = {}
        for index, each in enumerate(self.asked):
            self._by_query.setdefault(_identity(each.query), []).append(index)
            self._by_subject.setdefault(_subject(each.query), []).append(index)

    def add(self, answer: Answer | None) -> None:
        """Find the query that a line answers: the first such one without an answer.

        Whether the service echoes filter values is not known. Where it does not,
        queries that differ in them only are told apart by their order.
        """
        candidates = self._candidates(answer)
        for index in candidates:
            if self._answers[index] is None:
                self._answers[index] = answer
                same = self._by_query[_identity(self.asked[index].query)]
                self.by_order += len(same) < len(candidates)
                return
        self.unrecognized += 1

    def _candidates(self, answer: Answer | None) -> list[int]:
        if answer is None:
            return []
        same = self._by_query.get(_identity(answer.query))
        if same is None and not answer.query.get("filterValues"):
            same = self._by_subject.get(_subject(answer.query))
        return same or []

    def answers(self) -> list[Answer | None]:
        """Return the answer of each query, or None.

        The same query asked several times has the same answer, even if the output
        gives it once.
        """
        answers = list(self._answers)
        for same in self._by_query.values():
            known = next((answers[each] for each in same if answers[each]), None)
            for each in same:
                answers[each] = answers[each] or known
        return answers


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
    return answer.error or (_NEITHER if answer.users is None else None)


def _identity(query: Mapping[str, Any]) -> str:
    return json.dumps(
        {key: query[key] for key in QUERY_KEYS if query.get(key)}, sort_keys=True
    )


def _subject(query: Mapping[str, Any]) -> str:
    return _identity({key: query.get(key) for key in QUERY_KEYS[:2]})
