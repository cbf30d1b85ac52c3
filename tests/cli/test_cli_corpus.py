"""`validate` over the corpus of query files: each case has the verdict that it says."""

import json
from pathlib import Path

import pytest

CORPUS = Path(__file__).parents[1] / "corpus"
CASES = sorted(CORPUS.glob("*/*.json"))


def folder_of(case, said, tmp_path):
    """Return the folder of a case's query files."""
    if "generated" not in said:
        return case.with_suffix("")
    text = "".join(piece * times for piece, times in said["generated"]["pieces"])
    (tmp_path / said["generated"]["file"]).write_text(text)
    return tmp_path


@pytest.mark.parametrize("case", CASES, ids=lambda each: each.stem)
def test_the_verdict_is_as_the_case_says(cli, case, tmp_path):
    said = json.loads(case.read_text())
    folder = folder_of(case, said, tmp_path)
    options = ["--recipe", said["recipe"], "--json"]
    if said["filter"] is not None:
        options += ["--filter-expression", said["filter"]]
    result = cli("validate", folder, *options)
    told = json.loads(result.output)
    bad = [
        {**each, "file": str(Path(each["file"]).relative_to(folder))}
        for each in told["badLines"]
    ]
    if "accepted" in said:
        assert bad == []
        assert (result.exit_code, told["problem"]) == (0, None)
        assert told["queries"] == said["accepted"]["queries"]
        assert told["distinct"] == said["accepted"]["different"]
        notes = [each.removeprefix(f"{folder}/") for each in told["notes"]]
        assert notes == said["accepted"].get("notes", [])
        return
    assert result.exit_code == 1
    assert said["refused"]["says"] in told["problem"]
    assert len(bad) == len(said["refused"]["lines"])
    for each, wanted in zip(bad, said["refused"]["lines"], strict=True):
        assert each["file"] == wanted["file"]
        assert wanted["line"] in (None, each["line"])
        assert wanted["column"] in (None, each["column"])
        assert wanted["reason"] in each["reason"]


def test_no_case_is_without_its_files():
    assert len(CASES) > 100
    folders = {each for each in CORPUS.glob("*/*") if each.is_dir()}
    cases = {each.with_suffix("") for each in CASES}
    generated = {
        each.with_suffix("")
        for each in CASES
        if "generated" in json.loads(each.read_text())
    }
    assert folders == cases - generated
