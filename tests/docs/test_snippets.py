"""Every example in README and docs: Python runs, commands and JSON are understood."""

import ast
import json
import re
import shlex
import sys
from types import CodeType

import aws_cdk as cdk
import command_line
import public_names
import pytest
import snippets
import typer.main

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion
from cdk_personalize_segments.cli.app import app as cli

pytestmark = pytest.mark.xdist_group("snippets")

# SQL is run by test_results_tables.py, and Mermaid is drawn by `make docs-look`.
KINDS = {"json", "mermaid", "python", "sh", "sql", "text"}
SOLUTION = "arn:aws:personalize:us-east-1:111122223333:solution/films"
PYTHON = snippets.blocks("python")
PROGRAM = "personalize-segments"


class Runs:
    """Runs blocks, each once and after the one that it continues."""

    def __init__(self):
        self.used: set[str] = set()
        self._codes = public_names.codes()
        self._names: dict[str, dict[str, object]] = {}

    def run(self, block):
        if block.name in self._names:
            return
        names = self._before(block) if block.continued else {}
        names |= self._predefined(block, names)
        self._names[block.name] = names
        compiled = compile(block.text, block.name, "exec")
        sys.setprofile(self._note)
        try:
            exec(compiled, names)  # noqa: S102
        finally:
            sys.setprofile(None)
        self.used |= _written(block)
        if "stack" in names:
            cdk.App.of(names["stack"]).synth()

    def _before(self, block):
        page = [each for each in PYTHON if each.page == block.page]
        before = page[page.index(block) - 1]
        self.run(before)
        return self._names[before.name]

    def _predefined(self, block, names):
        read = {
            node.id
            for node in ast.walk(ast.parse(block.text))
            if isinstance(node, ast.Name)
        }
        wanted = {"pipeline", "solution_version", "stack"} & read - set(names)
        if not wanted:
            return {}
        stack = names.get("stack") or cdk.Stack(cdk.App(), "Example")
        version = SolutionVersion.latest_of(SOLUTION)
        given = {"stack": stack, "solution_version": version}
        if "pipeline" in wanted and not _defines(block, "pipeline"):
            given["pipeline"] = BatchSegmentPipeline(
                stack, "Predefined", solution_version=version
            )
        return given

    def _note(self, frame, event, _):
        if event == "call":
            self.used |= self._codes.get(frame.f_code, set())


def _defines(block, name):
    """Tell whether a block sets a name before it uses it."""
    uses = [
        node
        for node in ast.walk(ast.parse(block.text))
        if isinstance(node, ast.Name) and node.id == name
    ]
    first = min(uses, key=lambda node: (node.lineno, node.col_offset))
    return isinstance(first.ctx, ast.Store)


def _written(block):
    """Give what a block names, for names that have no code: `Class.VALUE` and such."""
    tree = ast.parse(block.text)
    return {
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name)
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("snippets"))
        yield Runs()


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.name)
def test_python_runs(block, runs):
    runs.run(block)


def test_every_public_name_has_an_example_that_runs(runs):
    for block in PYTHON:
        runs.run(block)
    missing = sorted(set(public_names.all_names()) - runs.used)
    assert not missing, (
        "No example uses these public names; add one to README or docs (docs/guide, "
        f"docs/how-to), as a Python block that runs: {', '.join(missing)}"
    )


def test_an_example_of_nothing_is_noticed(runs):
    """Names count as used where their code ran, and not where they are only alike."""
    block = snippets.Block("none.md", 1, "python", "class A: functions = 1", False)
    fresh = Runs()
    fresh.run(block)
    assert "BatchSegmentPipeline.functions" not in fresh.used
    assert all(isinstance(code, CodeType) for code in public_names.codes())


def test_every_fixture_has_an_example():
    named = {
        name
        for block in PYTHON
        for node in ast.walk(ast.parse(block.text))
        if isinstance(node, ast.FunctionDef)
        for name in (node.name, *(each.arg for each in node.args.args))
    }
    missing = set(public_names.fixtures()) - named
    assert not missing, f"No example has these fixtures: {', '.join(sorted(missing))}"


def _invocations():
    for block in snippets.blocks("sh", "text"):
        for line in block.text.replace("\\\n", " ").splitlines():
            if line.strip().startswith(f"{PROGRAM} ") and "[" not in line:
                yield pytest.param(line.strip(), id=f"{block.name} {line.strip()}")


def _parse(line):
    """Parse a command as the command line does, without running it."""
    command, name = typer.main.get_command(cli), PROGRAM
    words = shlex.split(line, comments=True)[1:]
    while hasattr(command, "commands"):
        name = f"{name} {words[0]}"
        command = command.commands[words.pop(0)]
    command.make_context(name, words)
    return name


@pytest.mark.parametrize("line", list(_invocations()))
def test_commands_are_understood(line):
    assert _parse(line) in command_line.commands()


def test_wrong_options_are_noticed():
    with pytest.raises(Exception, match="No such option"):
        _parse(f"{PROGRAM} run --no-such-option")


def test_every_command_has_an_example():
    named = {_parse(each.values[0]) for each in _invocations()}
    missing = set(command_line.commands()) - named
    assert not missing, f"No example has these: {', '.join(sorted(missing))}"


@pytest.mark.parametrize("block", snippets.blocks("json"), ids=lambda block: block.name)
def test_json_is_json(block):
    try:
        json.loads(block.text)
    except ValueError:
        for line in block.text.splitlines():
            json.loads(line)


def test_every_block_is_of_a_kind_that_is_looked_at():
    unknown = {each.name for each in snippets.blocks() if each.kind not in KINDS}
    assert not unknown


def test_no_block_is_overlooked():
    for page in snippets.pages():
        fences = re.findall(r"^ *```", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(fences) == 2 * len(list(snippets.blocks_of(page))), page
