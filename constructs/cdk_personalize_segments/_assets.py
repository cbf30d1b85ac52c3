"""Finds the sources of the Lambda tasks, and makes the asset of them.

They lie elsewhere in a checkout than in a wheel. Docstrings, comments and annotations
of functions stay behind: they are for readers and checkers of the sources, and more
than a third of what functions would load.
"""

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_

_PACKAGE: Final = Path(__file__).resolve().parent


def source_root() -> Path:
    """Return the folder of the tasks' package.

    Raises:
        FileNotFoundError: The installation is incomplete.
    """
    wheel, checkout = _PACKAGE / "_lambda", _PACKAGE.parents[1] / "lambda"
    for root in (wheel, checkout):
        if (root / "segment_tasks" / "__init__.py").is_file():
            return root
    raise FileNotFoundError(
        f"the sources of the Lambda tasks are neither in {wheel} nor in {checkout}; "
        "reinstall cdk-personalize-segments"
    )


def code() -> lambda_.Code:
    """Return the code of all functions: the tasks' package and nothing else."""
    return lambda_.Code.from_asset(
        str(source_root()),
        # By what comes out: the same from a checkout and from a wheel.
        asset_hash_type=cdk.AssetHashType.OUTPUT,
        bundling=cdk.BundlingOptions(
            # Never pulled: there is always a local bundle.
            image=cdk.DockerImage.from_registry("scratch"),
            local=_BareSources(),
        ),
    )


@jsii.implements(cdk.ILocalBundling)
class _BareSources:
    """Copies the tasks' package without what functions do not need."""

    def try_bundle(self, output_dir: str, *_: object, **__: object) -> bool:
        root = source_root()
        for source in sorted(root.rglob("*.py")):
            target = Path(output_dir) / source.relative_to(root)
            target.parent.mkdir(exist_ok=True)
            text = source.read_text(encoding="utf-8")
            target.write_text(bare(text), encoding="utf-8", newline="\n")
        return True


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
