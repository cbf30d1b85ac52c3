"""Every bridge over moto has a test that fails when the bridge is removed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cdk_personalize_segments.local import LocalAws, moto_names

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
PACKAGE = "cdk_personalize_segments.local"
# What looks at requests before moto does, by its module.
MIDDLEWARES = (
    f"{PACKAGE}.api",
    f"{PACKAGE}.cloudformation",
    f"{PACKAGE}.custom_responses",
    f"{PACKAGE}.enforcement",
    f"{PACKAGE}.events.s3",
    f"{PACKAGE}.functions.origins",
    f"{PACKAGE}.personalize.http",
    f"{PACKAGE}.s3_requests",
    f"{PACKAGE}.storage",
)
OPTION = "--without-bridge"
BRIDGES = (*moto_names.read()["replaced"], *MIDDLEWARES)


def test_all_middlewares_are_listed(aws: LocalAws) -> None:
    found = {wrap.__module__ for wrap in aws._middlewares}
    # It answers for local AWS itself, in no service's place.
    assert found - {f"{PACKAGE}.control"} == set(MIDDLEWARES)


def test_marks_name_the_bridges_that_exist() -> None:
    marked = {
        name
        for path in TESTS
        for mark in re.findall(
            r"@pytest\.mark\.bridge\((.*?)\)", path.read_text(), re.S
        )
        for name in re.findall(r'"([\w.]+)"', mark)
    }
    assert marked == set(BRIDGES)


@pytest.mark.slow
@pytest.mark.parametrize("bridge", BRIDGES)
def test_a_test_fails_when_the_bridge_is_removed(bridge: str) -> None:
    concerned = [
        str(path) for path in TESTS if f'"{bridge}"' in path.read_text(encoding="utf-8")
    ]
    options = ["-q", "-x", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, OPTION, bridge, *concerned],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout
    # A fixture that cannot be made says nothing about what the test looks at.
    assert re.search(r"^FAILED ", ended.stdout, re.M), ended.stdout
