"""The fixtures that the library offers to its users, for its own tests too."""

import pytest

pytest_plugins = ["cdk_personalize_segments.local.pytest_plugin"]


@pytest.fixture(scope="session")
def local_aws_options():
    """Run functions in threads, which is quicker."""
    return {"in_process": True}


@pytest.fixture
def processes(local_aws):
    """Run functions in processes of their own, as users do by default."""
    local_aws.in_process = False
    yield
    local_aws.in_process = True
