"""The picture of the dashboard can be drawn, and shows something in every widget."""

import subprocess
import sys

import pytest
import snippets
from PIL import Image

PICTURE = snippets.ROOT / "docs" / "images" / "dashboard.png"


@pytest.mark.slow
@pytest.mark.xdist_group("monitoring")
def test_the_picture_can_be_drawn_again(tmp_path):
    drawn = tmp_path / "dashboard.png"
    # In a process of its own, since there is one local AWS at a time in each.
    done = subprocess.run(
        [sys.executable, snippets.ROOT / "docs" / "render_dashboard.py", drawn],
        cwd=snippets.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with Image.open(drawn) as new, Image.open(PICTURE) as shown:
        assert new.size == shown.size


@pytest.mark.parametrize("page", ["README.md", "docs/guide/monitoring.md"])
def test_the_picture_is_shown(page):
    assert "images/dashboard.png)" in (snippets.ROOT / page).read_text()
