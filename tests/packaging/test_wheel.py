"""The wheel: what is in it, and that it works where the checkout is not."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONSUMER = """
import aws_cdk as cdk
import cdk_personalize_segments as library
from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion

app = cdk.App(outdir={outdir!r}, analytics_reporting=False)
BatchSegmentPipeline(
    cdk.Stack(app, "Films"),
    "Segments",
    solution_version=SolutionVersion.latest_of(
        "arn:aws:personalize:us-east-1:111122223333:solution/films"
    ),
)
app.synth()
print(library.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from the source distribution, as a publisher does."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "-o", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A fresh environment with the wheel in it, and the dependencies in reach.

    They come from this environment by a path file. Path files beside them are not
    read, so the editable installation of the checkout stays out.
    """
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True
    )
    python = folder / "bin" / "python"
    subprocess.run(
        ["uv", "pip", "install", "--quiet", "--offline", "--no-deps", str(wheel)],
        env={**os.environ, "VIRTUAL_ENV": str(folder)},
        check=True,
    )
    [site] = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    return python


def test_the_wheel_holds_the_handlers_and_writes_beside_no_one(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    prefix = "cdk_personalize_segments/_lambda/"
    assert {name.removeprefix(prefix) for name in names if name.startswith(prefix)} == {
        str(path.relative_to(ROOT / "lambda"))
        for path in (ROOT / "lambda").rglob("*.py")
    }
    assert {name.split("/")[0].split("-")[0] for name in names} == {
        "cdk_personalize_segments"
    }


@pytest.mark.slow
def test_wheel_and_checkout_synthesise_the_same_bytes(installed, tmp_path):
    from_wheel = _synth(installed, tmp_path / "wheel")
    from_checkout = _synth(sys.executable, tmp_path / "checkout")
    assert from_wheel["library"] != from_checkout["library"]
    assert from_wheel["template"] == from_checkout["template"]
    assert from_wheel["assets"] == from_checkout["assets"]


@pytest.mark.slow
def test_bytecode_of_the_installation_does_not_change_the_asset(installed, tmp_path):
    site = next(Path(installed).parents[1].glob("lib/python*/site-packages"))
    before = _synth(installed, tmp_path / "before")
    package = site / "cdk_personalize_segments"
    subprocess.run([installed, "-m", "compileall", "-q", str(package)], check=True)
    assert list(package.rglob("_lambda/**/*.pyc"))
    assert _synth(installed, tmp_path / "after")["assets"] == before["assets"]


def _synth(python, folder):
    """Synthesise in a foreign folder, and read what a deployment would use."""
    folder.mkdir()
    outdir = folder / "cdk.out"
    (folder / "app.py").write_text(CONSUMER.format(outdir=str(outdir)))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), "app.py"],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assets = json.loads((outdir / "Films.assets.json").read_text())["files"]
    return {
        "library": done.stdout.strip(),
        "template": (outdir / "Films.template.json").read_bytes(),
        "assets": sorted(assets),
    }
