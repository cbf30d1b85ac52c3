"""The built site: a page and an anchor for every public name, and no broken link."""

import os
import subprocess
import sys

import check_links
import public_names
import pytest
import snippets

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site")]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=snippets.ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_no_link_is_broken(site):
    assert len(list(site.rglob("index.html"))) > 20
    assert not check_links.broken(site)


def test_a_broken_link_is_noticed(tmp_path):
    (tmp_path / "index.html").write_text(
        '<a href="none/">A</a> <a href="#none">B</a> <a href="#here" id="here">C</a>'
        '<script src="https://example.com/a.js"></script>'
    )
    assert len(check_links.broken(tmp_path)) == 3


@pytest.mark.parametrize("name", public_names.exported())
def test_every_public_name_has_a_page(site, name):
    page = (site / "reference" / name / "index.html").read_text(encoding="utf-8")
    for member in public_names.members(name):
        assert f'id="{public_names.PACKAGE}.{name}.{member}"' in page, member


def test_every_fixture_has_an_entry(site):
    page = (site / "reference" / "pytest" / "index.html").read_text(encoding="utf-8")
    for name in public_names.fixtures():
        assert f'pytest_plugin.{name}"' in page


def test_nothing_comes_from_elsewhere(site):
    assert (site / "assets" / "mermaid.tiny.js").stat().st_size > 1_000_000
    assert "QueueTimeout" in (site / "search" / "search_index.json").read_text()
