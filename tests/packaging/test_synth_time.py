"""What the library adds to `cdk synth`, paired with a trivial app in one run."""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRIVIAL = """
import aws_cdk as cdk
from aws_cdk import aws_s3 as s3

app = cdk.App()
s3.Bucket(cdk.Stack(app, "Trivial"), "Bucket")
app.synth()
"""


@pytest.mark.slow
def test_synth_takes_at_most_two_seconds_more_than_a_trivial_app(tmp_path):
    trivial = tmp_path / "trivial"
    trivial.mkdir()
    (trivial / "app.py").write_text(TRIVIAL)
    configuration = json.loads((ROOT / "cdk.json").read_text())
    (trivial / "cdk.json").write_text(json.dumps(configuration))
    added = []
    for attempt in range(3):
        plain = _synth(trivial, tmp_path / f"plain-{attempt}")
        added.append(_synth(ROOT, tmp_path / f"example-{attempt}") - plain)
    assert statistics.median(added) <= 2


def _synth(folder, outdir):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    started = time.perf_counter()
    subprocess.run(
        [ROOT / "node_modules" / ".bin" / "cdk", "synth", "--quiet", "-o", outdir],
        cwd=folder,
        env={**os.environ, "PATH": path},
        check=True,
        capture_output=True,
        timeout=120,
    )
    return time.perf_counter() - started
