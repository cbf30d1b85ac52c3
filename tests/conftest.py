"""The fixtures that the library offers to its users, and what looks at all tests.

That is what removes a bridge, and what knows which lines of the table of what local
AWS emulates have tests.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from cdk_personalize_segments.local import LocalAws, patching

pytest_plugins = ["cdk_personalize_segments.local.pytest_plugin"]
_OPTION = "--without-bridge"
_MARKS = "--write-emulates"
_EMULATED = pytest.StashKey[dict[str, list[str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        _OPTION,
        metavar="BRIDGE",
        help="leave a bridge over moto out of local AWS, and run only the tests that "
        "must fail without it",
    )
    parser.addoption(
        _MARKS, metavar="FILE", help="write which tests prove which lines of the table"
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


# First, since tests that are not selected count too.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    if set(Path(__file__).parent.rglob("test_*.py")) <= {item.path for item in items}:
        config.stash[_EMULATED] = _lines_of(items)
    if config.getoption(_MARKS) is not None:
        Path(config.getoption(_MARKS)).write_text(json.dumps(_lines_of(items)))
    bridge = config.getoption(_OPTION)
    if bridge is not None:
        items[:] = [
            item
            for item in items
            if any(bridge in mark.args for mark in item.iter_markers("bridge"))
        ]


def _lines_of(items: Iterable[pytest.Item]) -> dict[str, list[str]]:
    lines: dict[str, list[str]] = {}
    for item in items:
        for mark in item.iter_markers("emulates"):
            for line in mark.args:
                lines.setdefault(line, []).append(item.nodeid)
    return lines


@pytest.fixture(scope="session")
def emulated(pytestconfig, tmp_path_factory):
    """The tests that prove each line of the table, also those that are not run now."""
    if _EMULATED in pytestconfig.stash:
        return pytestconfig.stash[_EMULATED]
    file = tmp_path_factory.mktemp("emulates") / "lines.json"
    subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-qq", _MARKS, str(file)],
        cwd=pytestconfig.rootpath,
        capture_output=True,
        check=False,
    )
    return json.loads(file.read_text())


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
