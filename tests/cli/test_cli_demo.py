"""`make demo`: what it asks for by itself, and how it ends when something breaks.

CI runs the demo itself, on its own data.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "demo.py"


@pytest.fixture(scope="module")
def demo():
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_demo(*arguments):
    return subprocess.run(
        [sys.executable, DEMO, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=ROOT,
    )


@pytest.mark.slow
def test_a_bad_query_file_ends_the_demo_with_the_reason(tmp_path):
    queries = tmp_path / "bad.jsonl"
    queries.write_text('{"itemId": "film-001"}\n{"itemid": "film-002"}\n')
    ended = run_demo("--queries", queries)
    assert ended.returncode == 1, ended.stderr
    assert "failed: InvalidInput" in ended.stdout
    assert "queries/bad.jsonl, line 2, column 2: a key is not known" in ended.stdout
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--queries", "nowhere.jsonl"], "nowhere.jsonl cannot be read"),
        (["--data", "nowhere"], "nowhere/interactions.csv cannot be read"),
    ],
)
def test_files_that_are_not_there_end_the_demo_at_once(arguments, told):
    ended = run_demo(*arguments)
    assert ended.returncode == 1
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_other_data_are_asked_for_their_most_popular_items(demo, tmp_path, capsys):
    counts = {"a": 1, "b": 7, "c": 2, "d": 5, "e": 4, "f": 3}
    rows = [f"u,{item}" for item, count in counts.items() for _ in range(count)]
    (tmp_path / "interactions.csv").write_text("\n".join(["USER_ID,ITEM_ID", *rows]))
    file = demo._default_queries(tmp_path, tmp_path)
    asked = [json.loads(line)["itemId"] for line in file.read_text().splitlines()]
    assert asked == ["b", "d", "e", "f", "c"]
    assert "asking for the 5 items" in capsys.readouterr().err


def test_segments_of_films_carry_their_titles(demo):
    titles = demo._titles(demo.CATALOGUE)
    shown = demo._with_title({"itemId": "film-001"}, titles)
    assert shown == "The Final Winter Letters (film-001)"
