"""Ids that follow from chance, so that every run has the same ones."""

import random
import uuid


def new_uuid(chance: random.Random) -> str:
    """Give a UUID.

    Args:
        chance: Where it comes from.
    """
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def uuid_of(seed: str) -> str:
    """Give the UUID that follows from a text.

    Args:
        seed: The text.
    """
    return new_uuid(random.Random(seed))  # noqa: S311
