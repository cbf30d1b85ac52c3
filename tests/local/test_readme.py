"""Every Python and shell block of the README runs, in its order.

So does the first page of the guide. tests/docs runs the Python of all other pages.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from segment_tasks import queries

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
FIRST_PIPELINE = ROOT / "docs" / "guide" / "first-pipeline.md"


def blocks_of(page):
    return re.findall(
        r"^```(\w+)\n(.*?)^```",
        page.read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )


BLOCKS = blocks_of(README)
# What CI runs as it stands, before these tests or around them.
IN_CI = ("make demo\n", "make test\n")

pytestmark = pytest.mark.xdist_group("deployments")


@pytest.fixture
def environment(aws):
    tools = [Path(sys.executable).parent, ROOT / "node_modules" / ".bin"]
    path = os.pathsep.join([*map(str, tools), os.environ["PATH"]])
    return {**aws.process_environment, "PATH": path}


def test_ci_runs_the_two_commands():
    assert [block for _, block in BLOCKS][:2] == list(IN_CI)
    assert set(IN_CI) <= set((ROOT / ".ci" / "run").read_text().splitlines(True))


def test_every_block_is_of_a_kind_that_is_run_or_drawn():
    assert {kind for kind, _ in BLOCKS} == {
        "sh",
        "python",
        "json",
        "mermaid",
    }


def test_every_example_of_a_query_can_be_sent():
    lines = [
        line for kind, block in BLOCKS if kind == "json" for line in block.splitlines()
    ]
    assert lines
    for line in lines:
        recipe = next(
            recipe for recipe, key in queries.KEY_OF_RECIPE.items() if key in line
        )
        names = frozenset(json.loads(line).get("filterValues", {}))
        found = queries.check(line.encode(), recipe, names)
        assert isinstance(found, queries.Query), found


@pytest.mark.slow
@pytest.mark.parametrize("page", [README, FIRST_PIPELINE], ids=lambda page: page.stem)
def test_all_blocks_run_in_order(page, aws, environment, tmp_path, monkeypatch):
    catalogue = ROOT / "examples" / "catalogue"
    aws.personalize.seed(catalogue, name="films")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for kind, block in blocks_of(page):
        if kind == "python":
            if block.startswith("# app.py"):
                Path("app.py").write_text(block)
            exec(compile(block, page.name, "exec"), names)  # noqa: S102
        elif kind == "sh" and block not in IN_CI:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block],
                env=environment,
                capture_output=True,
                text=True,
                timeout=200,
            )
            assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
