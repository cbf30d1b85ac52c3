"""The fixtures that the library offers to its users, and what removes a bridge."""

from collections.abc import Callable
from typing import Any

import pytest

from cdk_personalize_segments.local import LocalAws, patching

pytest_plugins = ["cdk_personalize_segments.local.pytest_plugin"]
_OPTION = "--without-bridge"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        _OPTION,
        metavar="BRIDGE",
        help="leave a bridge over moto out of local AWS, and run only the tests that "
        "must fail without it",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Leave a bridge out, so that it can be seen whether a test notices."""
    bridge = config.getoption(_OPTION)
    if bridge is None:
        return
    put, add = patching._put, LocalAws.add_middleware

    def put_others(owner: Any, name: str, replacement: Any) -> None:
        if f"{patching.full_name(owner)}.{name}" != bridge:
            put(owner, name, replacement)

    def add_others(aws: LocalAws, wrap: Callable[..., Any]) -> None:
        if wrap.__module__ != bridge:
            add(aws, wrap)

    patching._put = put_others
    LocalAws.add_middleware = add_others  # type: ignore[method-assign]


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    bridge = config.getoption(_OPTION)
    if bridge is not None:
        items[:] = [
            item
            for item in items
            if any(bridge in mark.args for mark in item.iter_markers("bridge"))
        ]


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
