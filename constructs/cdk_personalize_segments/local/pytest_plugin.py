"""Pytest fixtures for deploying stacks into a local AWS.

Loaded by pytest in every project that has this package installed, so nothing heavy is
imported before a test asks for it.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cdk_personalize_segments.local import LocalAws


@pytest.fixture(scope="session")
def local_aws_options() -> Mapping[str, Any]:
    """Say what `LocalAws` takes; define a fixture of this name to change it.

    With `{"in_process": True}` functions run in threads of the test process. They start
    much quicker, so that many tests take a fraction of the time; processes, the
    default, are closer to Lambda. `LocalAws` says what differs.
    """
    return {}


@pytest.fixture(scope="session")
def local_aws(local_aws_options: Mapping[str, Any]) -> "Iterator[LocalAws]":
    """An AWS account on this machine, for all tests of the session.

    It starts empty when the first test asks for it, and ends with the session. Tests
    share it: give each its own stack, which `deploy` makes of the app you name, then
    `run` it and read its `segments`. Needs the extra `local`.
    """
    from cdk_personalize_segments.local import LocalAws

    with LocalAws(**local_aws_options) as aws:
        yield aws
