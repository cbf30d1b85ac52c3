"""Finds the sources of the Lambda tasks, and makes the asset of each.

They lie elsewhere in a checkout than in a wheel. A task's asset holds the modules that
it imports and no others, so that a function carries no code of its neighbours, and is
published anew when its own code changes. Docstrings, comments and annotations of
functions stay behind: they are for readers and checkers of the sources, and more than
a third of what functions would load.
"""

import ast
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_

_PACKAGE: Final = Path(__file__).resolve().parent
_TASKS: Final = "segment_tasks"


def source_root() -> Path:
    """Return the folder of the tasks' package.

    Raises:
        FileNotFoundError: The installation is incomplete.
    """
    wheel, checkout = _PACKAGE / "_lambda", _PACKAGE.parents[1] / "lambda"
    for root in (wheel, checkout):
        if (root / _TASKS / "__init__.py").is_file():
            return root
    raise FileNotFoundError(
        f"the sources of the Lambda tasks are neither in {wheel} nor in {checkout}; "
        "reinstall cdk-personalize-segments"
    )


def code(task: str) -> lambda_.Code:
    """Return the code of a task's function.

    Args:
        task: The module with its handler.
    """
    return lambda_.Code.from_asset(
        str(source_root()),
        # By what comes out: the same from a checkout and from a wheel.
        asset_hash_type=cdk.AssetHashType.OUTPUT,
        bundling=cdk.BundlingOptions(
            # Never pulled: there is always a local bundle.
            image=cdk.DockerImage.from_registry("scratch"),
            local=_BareSources(task),
            # Read by nobody: what tells one task's asset from another's.
            command=[task],
        ),
    )


@jsii.implements(cdk.ILocalBundling)
class _BareSources:
    """Copies the modules of a task without what functions do not need."""

    def __init__(self, task: str) -> None:
        self._task = task

    def try_bundle(self, output_dir: str, *_: object, **__: object) -> bool:
        target = Path(output_dir) / _TASKS
        target.mkdir()
        for source in modules(self._task):
            text = bare(source.read_text(encoding="utf-8"))
            (target / source.name).write_text(text, encoding="utf-8", newline="\n")
        return True


def modules(task: str) -> list[Path]:
    """Return the sources of a task and of all that it imports of the tasks' package.

    Args:
        task: The module with its handler.
    """
    folder = source_root() / _TASKS
    found = {folder / "__init__.py"}
    open_ones = [folder / f"{task}.py"]
    while open_ones:
        source = open_ones.pop()
        if source not in found:
            found.add(source)
            open_ones += _imported(source)
    return sorted(found)


def _imported(source: Path) -> Iterator[Path]:
    """Return the modules beside a module that it imports, wherever it does so."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names = [node.module] if node.module else [each.name for each in node.names]
            for name in names:
                yield source.with_name(f"{name}.py")


@cache
def bare(source: str) -> str:
    """Return Python source without what only its readers need, with the same lines.

    Docstrings, comments, and annotations of functions go.

    Args:
        source: The source of a module.
    """
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    nodes = list(ast.walk(ast.parse(source)))
    # From the end on, so that what comes before stays where it is.
    for start, annotation in sorted(_annotations(nodes), reverse=True, key=_start):
        _remove_annotation(start, annotation, lines)
    for node in nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            _remove_docstring(node, lines)
    return "\n".join(lines) + "\n"


def _annotations(nodes: list[ast.AST]) -> Iterator[tuple[str, ast.expr]]:
    """Return the annotations of functions, with what stands before each."""
    for node in nodes:
        if isinstance(node, ast.arg) and node.annotation:
            yield ":", node.annotation
        if isinstance(node, ast.FunctionDef) and node.returns:
            yield " ->", node.returns


def _start(found: tuple[str, ast.expr]) -> tuple[int, int]:
    return found[1].lineno, found[1].col_offset


def _remove_annotation(before: str, annotation: ast.expr, lines: list[str]) -> None:
    first, last = annotation.lineno - 1, (annotation.end_lineno or 0) - 1
    # The columns of the syntax tree are those of UTF-8.
    head = lines[first].encode()[: annotation.col_offset].decode()
    tail = lines[last].encode()[annotation.end_col_offset :].decode()
    lines[first : last + 1] = [""] * (last + 1 - first)
    lines[first] = head[: head.rindex(before)] + tail


def _remove_docstring(
    node: ast.Module | ast.ClassDef | ast.FunctionDef, lines: list[str]
) -> None:
    if ast.get_docstring(node, clean=False) is None:
        return
    docstring = node.body[0]
    start, end = docstring.lineno - 1, docstring.end_lineno or docstring.lineno
    lines[start:end] = [""] * (end - start)
    if len(node.body) == 1 and not isinstance(node, ast.Module):
        lines[start] = f"{' ' * docstring.col_offset}..."
