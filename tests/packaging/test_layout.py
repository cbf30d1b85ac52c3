"""Guards of the layout: constructs/ and lambda/ are source roots, never packages."""

import ast
import importlib.util
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import aws_cdk as cdk
import constructs
import pytest
from aws_cdk import aws_lambda as lambda_

from cdk_personalize_segments import _assets

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "lambda").rglob("*.py"))
TASKS = [each.stem for each in SOURCES if "\ndef handler(" in each.read_text("utf-8")]


@pytest.mark.parametrize("folder", ["constructs", "lambda"])
def test_a_source_root_is_not_a_package(folder):
    assert not (ROOT / folder / "__init__.py").exists()


def test_constructs_is_the_pypi_package():
    assert constructs.__file__ is not None
    assert not Path(constructs.__file__).is_relative_to(ROOT / "constructs")


def test_the_asset_holds_the_runtime_package_and_nothing_else():
    assert [
        each.name for each in (ROOT / "lambda").iterdir() if each.name != "__pycache__"
    ] == ["segment_tasks"]
    assert all(
        each.suffix == ".py"
        for each in (ROOT / "lambda").rglob("*")
        if each.is_file() and "__pycache__" not in each.parts
    )


@pytest.mark.parametrize("task", TASKS)
def test_the_zipped_asset_is_under_50_kb(task, tmp_path):
    folder = _synthesized_asset(task, tmp_path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for source in sorted(folder.rglob("*")):
            archive.write(source, source.relative_to(folder))
    assert len(buffer.getvalue()) < 50_000


@pytest.mark.parametrize("task", TASKS)
def test_a_function_carries_the_modules_that_it_loads_and_no_others(task, tmp_path):
    folder = _synthesized_asset(task, tmp_path)
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys, segment_tasks.{task}\n"
            "print(*(each for each in sys.modules if 'segment_tasks' in each))",
        ],
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.split()
    carried = {
        each.relative_to(folder).with_suffix("").as_posix().replace("/", ".")
        for each in folder.rglob("*.py")
    }
    assert carried - {"segment_tasks.__init__"} == set(loaded) - {"segment_tasks"}


def test_no_module_is_carried_by_no_function():
    carried = {each for task in TASKS for each in _assets.modules(task)}
    assert carried == set(SOURCES)


@pytest.mark.parametrize("task", TASKS)
def test_an_asset_is_its_sources_line_for_line_without_what_readers_need(
    task, tmp_path
):
    folder = _synthesized_asset(task, tmp_path)
    found = sorted(each for each in folder.rglob("*") if each.is_file())
    sources = _assets.modules(task)
    assert [each.relative_to(folder) for each in found] == [
        each.relative_to(ROOT / "lambda") for each in sources
    ]
    for asset, source in zip(found, sources, strict=True):
        bare, whole = ast.parse(asset.read_text()), ast.parse(source.read_text())
        for node in ast.walk(whole):
            if isinstance(node, ast.arg):
                node.annotation = None
            if isinstance(node, ast.FunctionDef):
                node.returns = None
            documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            if documented and ast.get_docstring(node) is not None:
                is_all = len(node.body) == 1 and not isinstance(node, ast.Module)
                node.body[:1] = [ast.Expr(ast.Constant(...))] if is_all else []
        assert ast.dump(bare) == ast.dump(whole), source
        assert len(asset.read_text()) < len(source.read_text())
        lines = [node.lineno for node in ast.walk(bare) if isinstance(node, ast.Raise)]
        assert lines == [
            node.lineno for node in ast.walk(whole) if isinstance(node, ast.Raise)
        ]


def _synthesized_asset(task, outdir):
    app = cdk.App(outdir=str(outdir))
    stack = cdk.Stack(app, "Stack")
    lambda_.Function(
        stack,
        "Function",
        code=_assets.code(task),
        handler=f"segment_tasks.{task}.handler",
        runtime=lambda_.Runtime.PYTHON_3_14,
    )
    app.synth()
    (folder,) = outdir.glob("asset.*")
    return folder


def test_handlers_import_the_standard_library_and_boto3_only():
    allowed = set(sys.stdlib_module_names) | {"boto3", "botocore", "segment_tasks"}
    # For type checkers only: the runtime has no stubs.
    allowed |= {"mypy_boto3_glue", "mypy_boto3_personalize", "mypy_boto3_s3"}
    allowed |= {"mypy_boto3_stepfunctions"}
    for source in SOURCES:
        for module in _absolute_imports(source):
            assert module in allowed, f"{source.name} imports {module}"


def test_the_bare_library_needs_the_cdk_only():
    allowed = set(sys.stdlib_module_names)
    allowed |= {"aws_cdk", "constructs", "cdk_personalize_segments", "segment_tasks"}
    # Comes with the CDK, which is made of it.
    allowed |= {"jsii"}
    for source in (ROOT / "constructs" / "cdk_personalize_segments").glob("*.py"):
        for module in _absolute_imports(source):
            assert module in allowed, f"{source.name} imports {module}"


def test_the_construct_side_imports_nothing_of_the_local_aws_or_the_command_line():
    package = ROOT / "constructs" / "cdk_personalize_segments"
    for source in package.glob("*.py"):
        text = source.read_text()
        assert "cdk_personalize_segments.local" not in text, source
        assert "cdk_personalize_segments.cli" not in text, source


def test_the_example_app_runs_from_the_root():
    # In a process of its own: pytest's import mode would hide a shadowed package.
    subprocess.run([sys.executable, "app.py"], cwd=ROOT, check=True, timeout=120)


def test_locks_record_no_download_address():
    for lock in [*(ROOT / "requirements").glob("*.txt"), ROOT / "package-lock.json"]:
        text = lock.read_text()
        assert "http" not in text, lock
        assert "index-url" not in text, lock


def test_the_package_is_typed():
    spec = importlib.util.find_spec("cdk_personalize_segments")
    assert spec is not None
    assert spec.origin is not None
    assert (Path(spec.origin).parent / "py.typed").is_file()


def test_what_lies_beneath_the_package_does_without_the_cdk():
    code = (
        "import sys, cdk_personalize_segments.local, cdk_personalize_segments._runtime;"
        "sys.exit('aws_cdk' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_construct_that_does_not_exist_is_named():
    with pytest.raises(ImportError, match="BatchSegmentJob"):
        exec("from cdk_personalize_segments import BatchSegmentJob")  # noqa: S102


def _absolute_imports(source: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module.partition(".")[0])
    return modules


@pytest.mark.xdist_group("together")
def test_tests_of_a_group_are_on_one_worker(request):
    """Releases of pytest and pytest-xdist may differ on that, and say nothing."""
    if request.config.getoption("loadgroup", default=False):
        assert request.node.nodeid.endswith("@together")


_IMPORT_ALONE = """
import importlib, sys
for name in sys.argv[1:]:
    for known in [each for each in sys.modules if each.startswith("cdk_pers")]:
        del sys.modules[known]
    importlib.import_module(name)
"""


# Some seconds for each hundred.
@pytest.mark.slow
def test_every_module_can_be_imported_first():
    package = ROOT / "constructs" / "cdk_personalize_segments"
    names = [
        ".".join(each.relative_to(package.parent).with_suffix("").parts)
        for each in sorted(package.rglob("*.py"))
    ]
    names = [each.removesuffix(".__init__") for each in names]
    subprocess.run([sys.executable, "-c", _IMPORT_ALONE, *names], check=True, cwd=ROOT)
