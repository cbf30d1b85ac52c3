"""Pytest fixtures for deploying stacks into a local AWS.

Loaded by pytest in every project that has this package installed, so nothing heavy is
imported before a test asks for it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cdk_personalize_segments.local import LocalAws


@pytest.fixture(scope="session")
def local_aws() -> "Iterator[LocalAws]":
    """An AWS account on this machine, for all tests of the session.

    It starts empty when the first test asks for it, and ends with the session. Tests
    share it: give each its own stack, which `deploy` makes of the app you name, then
    `run` it and read its `segments`. Needs the extra `local`.
    """
    from cdk_personalize_segments.local import LocalAws

    with LocalAws() as aws:
        yield aws
