"""Names for the tests of operations, which share one account."""

import uuid
from collections.abc import Callable

import pytest


@pytest.fixture
def new_name() -> Callable[[], str]:
    """Make up names that no other test has."""
    return lambda: f"test-{uuid.uuid4().hex[:12]}"
