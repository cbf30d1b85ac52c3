"""The fixtures that the library offers to its users, and what looks at all tests.

That is what removes a bridge, and what knows which lines of the table of what local
AWS emulates have tests.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cdk_personalize_segments.local import LocalAws, LocalAwsError, patching

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


@pytest.fixture(scope="session")
def deploy_assembly(local_aws: LocalAws) -> Callable[[Path, str], dict[str, str]]:
    """Deploy a stack of an assembly, and give its outputs.

    Without the CDK CLI, whose processes would take most of the time of these tests.
    """
    return partial(_create_or_update, local_aws)


def _create_or_update(aws: LocalAws, assembly: Path, name: str) -> dict[str, str]:
    """Deploy a stack as the CDK CLI does; give its outputs."""
    client = aws.client("cloudformation")
    statuses = {
        each["StackName"]: each["StackStatus"]
        for page in client.get_paginator("describe_stacks").paginate()
        for each in page["Stacks"]
    }
    change = client.update_stack if name in statuses else client.create_stack
    changed = change(
        StackName=name,
        TemplateURL=_publish(aws, assembly, name),
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    [stack] = client.describe_stacks(StackName=changed["StackId"])["Stacks"]
    if stack["StackStatus"] not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        events = client.describe_stack_events(StackName=name)["StackEvents"]
        reasons = [each.get("ResourceStatusReason", "") for each in events]
        raise LocalAwsError("\n".join(filter(None, reasons)))
    return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}


def _publish(aws: LocalAws, assembly: Path, name: str) -> str:
    """Upload the assets of a stack; give the address of its template."""
    s3 = aws.client("s3")
    manifest = json.loads((assembly / f"{name}.assets.json").read_text())
    address = ""
    for asset in manifest["files"].values():
        path = assembly / asset["source"]["path"]
        if asset["source"]["packaging"] == "zip":
            path = Path(shutil.make_archive(str(path), "zip", path))
        for destination in asset["destinations"].values():
            bucket = destination["bucketName"]
            bucket = bucket.replace("${AWS::AccountId}", aws.account_id)
            bucket = bucket.replace("${AWS::Region}", aws.region)
            s3.create_bucket(Bucket=bucket)
            s3.upload_file(str(path), bucket, destination["objectKey"])
            if asset["source"]["path"] == f"{name}.template.json":
                key = destination["objectKey"]
                address = f"{aws.endpoint_url}/{bucket}/{key}"
    return address
