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

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from cdk_personalize_segments.local.personalize.dataset import Dataset, number

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
        sizes = {
            user: sum(map(abs, of_user.values()))
            for user, of_user in dataset.weights.items()
        }
        count = sum(len(of_user) for of_user in dataset.weights.values())
        damping = _DAMPING_INTERACTIONS * sum(sizes.values()) / max(count, 1)
        self._divisors = {user: damping + size for user, size in sizes.items()}
        self._fans: defaultdict[str, list[tuple[str, float]]] = defaultdict(list)
        for user, of_user in dataset.weights.items():
            for item, weight in of_user.items():
                self._fans[item].append((user, weight))
        self._squares = {
            item: sum(weight * weight for _, weight in fans)
            for item, fans in self._fans.items()
        }
        self._having: defaultdict[tuple[str, str | float], set[str]] = defaultdict(set)
        for item, columns in dataset.items.items():
            for column, values in columns.items():
                for value in values:
                    self._having[column, _key(value)].add(item)
        self._ranking = lru_cache(_REMEMBERED)(self._rank)

    def knows(self, item: str) -> bool:
        """Tell whether an item was in the data."""
        return item in self.dataset.items or item in self._fans

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
            self._similarities(query)
            if isinstance(query, str)
            else dict.fromkeys(self._matches(query), 1.0)
        )
        fits: defaultdict[str, float] = defaultdict(float)
        for item, relevant in relevance.items():
            for user, weight in self._fans.get(item, ()):
                fits[user] += weight * relevant
        scores = (
            (-round(fit / self._divisors[user], _DIGITS), user)
            for user, fit in fits.items()
        )
        return tuple(user for score, user in sorted(scores) if score < 0)

    def _similarities(self, item: str) -> dict[str, float]:
        products: defaultdict[str, float] = defaultdict(float)
        for user, own in self._fans.get(item, ()):
            for other, weight in self.dataset.weights[user].items():
                products[other] += own * weight
        return {
            other: product / (self._squares[item] * self._squares[other]) ** 0.5
            for other, product in products.items()
            if product
        }

    def _matches(self, conditions: Sequence[tuple[str, str]]) -> list[str]:
        matching = [
            self._having.get((column, _key(value)), set())
            for column, value in conditions
        ]
        # In an order that is always the same, so that sums are.
        return sorted(set.intersection(*matching))


def _key(value: str) -> str | float:
    found = number(value)
    return value if found is None else found
