"""How the emulated recipes rank users: simple, documented and deterministic.

Real recipes are trained models. These stand in for them, so that a segment means
something: a segment for comedies lists first those who like comedies most.

Every item has a relevance to the query:

* Item-Affinity: the cosine similarity of the item's interactions and those of the
  queried item, over all users; 1 for the queried item itself.
* Item-Attribute-Affinity: 1 when the item has every attribute of the query, else 0.

A user's affinity is the sum over the user's items of weight times relevance, divided
by the sum of the weights' sizes plus a damping of five average interactions. So it is
the share of the user's taste that fits the query, and somebody with a single
interaction does not outrank a true fan. Users with an affinity of 0 or less are left
out; users with the same affinity come in the order of their ids.
"""

import operator
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from cdk_personalize_segments.local.personalize.dataset import Dataset

_DAMPING_INTERACTIONS: Final = 5
# Hides differences in the last bits, so that ties are ties everywhere.
_DIGITS: Final = 12
# Rankings that are remembered; each has all users.
_REMEMBERED: Final = 128


class Affinity:
    """Ranks the users of a dataset.

    Attributes:
        dataset: The data, which never change: an import makes another affinity.
    """

    def __init__(self, dataset: Dataset) -> None:
        """Index a dataset."""
        self.dataset = dataset
        interacted = (item for of_user in dataset.weights.values() for item in of_user)
        self._index = {
            item: number
            for number, item in enumerate(dict.fromkeys([*dataset.items, *interacted]))
        }
        self._profiles = {
            user: (
                [self._index[item] for item in of_user],
                list(of_user.values()),
            )
            for user, of_user in dataset.weights.items()
        }
        sizes = {
            user: sum(map(abs, weights))
            for user, (_, weights) in self._profiles.items()
        }
        count = sum(len(of_user) for of_user in dataset.weights.values())
        damping = _DAMPING_INTERACTIONS * sum(sizes.values()) / max(count, 1)
        self._divisors = {user: damping + size for user, size in sizes.items()}
        self._squares = [0.0] * len(self._index)
        for items, weights in self._profiles.values():
            for item, weight in zip(items, weights, strict=True):
                self._squares[item] += weight * weight
        self._ranking = lru_cache(_REMEMBERED)(self._rank)

    def knows(self, item: str) -> bool:
        """Tell whether an item was in the data."""
        return item in self._index

    def users_for_item(self, item: str) -> tuple[str, ...]:
        """Rank users by their affinity to an item that the data has."""
        return self._ranking(item)

    def users_for_attributes(
        self, conditions: Iterable[tuple[str, str]]
    ) -> tuple[str, ...]:
        """Rank users by their affinity to the items that have all attributes.

        Args:
            conditions: Columns of `items.csv`, each with the value wanted.
        """
        return self._ranking(tuple(conditions))

    def _rank(self, query: str | tuple[tuple[str, str], ...]) -> tuple[str, ...]:
        relevance = (
            self._similarities(self._index[query])
            if isinstance(query, str)
            else self._matches(query)
        )
        scores = []
        for user, (items, weights) in self._profiles.items():
            fit = sum(map(operator.mul, weights, map(relevance.__getitem__, items)))
            score = round(fit / self._divisors[user], _DIGITS) if fit > 0 else 0.0
            if score > 0:
                scores.append((-score, user))
        return tuple(user for _, user in sorted(scores))

    def _similarities(self, item: int) -> list[float]:
        products = [0.0] * len(self._index)
        for items, weights in self._profiles.values():
            if item in items:
                own = weights[items.index(item)]
                for other, weight in zip(items, weights, strict=True):
                    products[other] += own * weight
        return [
            product / (self._squares[item] * self._squares[other]) ** 0.5
            if product
            else 0.0
            for other, product in enumerate(products)
        ]

    def _matches(self, conditions: Sequence[tuple[str, str]]) -> list[float]:
        relevance = [0.0] * len(self._index)
        for item, columns in self.dataset.items.items():
            if all(
                any(_same(value, wanted) for value in columns.get(column, ()))
                for column, wanted in conditions
            ):
                relevance[self._index[item]] = 1.0
        return relevance


def _same(value: str, wanted: str) -> bool:
    if value == wanted:
        return True
    try:
        return float(value) == float(wanted)
    except ValueError:
        return False
