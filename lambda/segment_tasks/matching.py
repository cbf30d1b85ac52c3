"""Which line of a job's output answers which query."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .output import QUERY_KEYS, Answer

SEGMENT: Final = "segment"
EMPTY: Final = "empty"
FAILED: Final = "failed"
MISSING: Final = "missing"
STATUSES: Final = (SEGMENT, EMPTY, FAILED, MISSING)
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
        self._is_unreadable = False
        self._by_query: dict[str, int] = {}
        self._by_subject: dict[str, list[int]] = {}
        self._not_echoed: dict[str, list[Answer]] = {}
        for index, query in enumerate(queries):
            self._by_query[_identity(query)] = index
            self._by_subject.setdefault(_subject(query), []).append(index)

    def add(self, answer: Answer | None) -> None:
        """Take a line of the output, or None for one that cannot be read."""
        if answer is None:
            self._is_unreadable = True
            self.unrecognized += 1
            return
        index = self._by_query.get(_identity(answer.query))
        subject = _subject(answer.query)
        same = self._by_subject.get(subject, [])
        if index is None and not answer.query.get("filterValues"):
            if len(same) > 1:
                self._not_echoed.setdefault(subject, []).append(answer)
                return
            index = same[0] if same else None
        self._answer(index, answer)

    def _answer(self, index: int | None, answer: Answer) -> None:
        if index is None:
            self.unrecognized += 1
            return
        known = self.answers[index]
        self.unrecognized += known is not None
        # An error beside a segment is one that was overcome.
        if known is None or (status(known) == FAILED and status(answer) != FAILED):
            self.answers[index] = answer

    def settle(self) -> None:
        """Match what is left, once all lines are there.

        Whether the service echoes filter values is not known. Where it does not,
        queries that differ in them only can be told apart by their order, if there is
        an answer for each; else nobody knows whose is missing, and all of them are.
        """
        for subject, answers in self._not_echoed.items():
            queries = self._by_subject[subject]
            unanswered = [each for each in queries if not self.answers[each]]
            if self._is_unreadable or len(unanswered) != len(answers):
                self.unrecognized += len(answers)
                continue
            self.by_order += len(answers)
            for index, answer in zip(unanswered, answers, strict=True):
                self.answers[index] = answer


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
