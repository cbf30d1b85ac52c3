"""`validate` over the corpus of query files: each case has the verdict that it says."""

import json
from pathlib import Path

import pytest

CORPUS = Path(__file__).parents[1] / "corpus"
CASES = sorted(CORPUS.glob("*/*.json"))


def files_of(case, said, tmp_path):
    """Return the query files of a case, in the order of their keys."""
    folder = case.with_suffix("")
    if "generated" in said:
        folder = tmp_path
        text = "".join(piece * times for piece, times in said["generated"]["pieces"])
        (folder / said["generated"]["file"]).write_text(text)
    found = [each for each in folder.rglob("*") if each.is_file()]
    return folder, sorted(found, key=lambda each: str(each.relative_to(folder)))


@pytest.mark.parametrize("case", CASES, ids=lambda each: each.stem)
def test_the_verdict_is_as_the_case_says(cli, case, tmp_path):
    said = json.loads(case.read_text())
    folder, files = files_of(case, said, tmp_path)
    options = ["--recipe", said["recipe"], "--json"]
    if said["filter"] is not None:
        options += ["--filter-expression", said["filter"]]
    result = cli("validate", *files, *options)
    told = json.loads(result.output)
    bad = [
        {**each, "file": str(Path(each["file"]).relative_to(folder))}
        for each in told["badLines"]
    ]
    if "accepted" in said:
        assert bad == []
        assert (result.exit_code, told["problem"]) == (0, None)
        queries = sum(each["queries"] for each in told["files"])
        assert queries == said["accepted"]["queries"]
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
