"""The table of what local AWS emulates is that of the code, and each line is proved."""

import importlib.util
import sys
from pathlib import Path

import pytest

GENERATOR = Path(__file__).parents[3] / "docs" / "generate_local_aws.py"


@pytest.fixture(scope="module")
def table():
    spec = importlib.util.spec_from_file_location("generate_local_aws", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    # Data classes look for their module.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_table_of_the_code(table):
    page = table.PAGE.read_text(encoding="utf-8")
    assert page == table.generated(page), "run `make docs-tables`"


def test_lines_have_ids_of_their_own(table):
    ids = table.line_ids()
    assert len(ids) > 600
    assert sorted(ids) == sorted(set(ids))


def test_every_line_has_a_test(table, emulated):
    unproved = [line for line in table.line_ids() if line not in emulated]
    assert not unproved, f"mark a test with emulates for each of {unproved}"


def test_marks_name_lines_of_the_table(table, emulated):
    unknown = {line: emulated[line] for line in set(emulated) - set(table.line_ids())}
    assert not unknown
