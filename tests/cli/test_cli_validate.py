"""`validate`: offline, every bad line with its place and what to write instead."""

import json

import pytest


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch):
    """Offline: nothing of an AWS account is at hand."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("not offline"))


def test_good_files_are_counted(cli, queries):
    one = queries({"itemId": "1"}, {"itemId": "2"}, name="one.jsonl")
    two = queries({"itemId": "3"}, name="two.jsonl")
    result = cli("validate", one, two, "--recipe", "item-affinity")
    assert result.exit_code == 0
    assert "3 queries in 2 files, all good." in result.output


def test_every_bad_line_is_told_with_its_place_and_what_to_write(cli, queries):
    file = queries({"itemId": "1"}, {"itemId": 2}, "", {"item": "3"}, "[1]")
    result = cli("validate", file, "--recipe", "item-affinity")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    places = [line.removeprefix(f"{file}:").split(": ")[0] for line in lines[:3]]
    assert places == ["2:12", "4:2", "5:1"]
    assert 'write {"itemId": "105"}' in lines[0]
    assert "3 lines cannot be used, 1 can" in lines[-1]


def test_the_recipe_decides_what_is_good(cli, queries):
    file = queries({"itemAttributes": 'ITEMS.GENRES = "Comedy"'})
    good = cli("validate", file, "--recipe", "item-attribute-affinity")
    bad = cli("validate", file, "--recipe", "item-affinity")
    assert (good.exit_code, bad.exit_code) == (0, 1)
    assert "itemAttributes is for the other recipe" in bad.output


def test_filter_values_are_held_against_the_expression(cli, queries):
    file = queries(
        {"itemId": "1", "filterValues": {"LEVEL": '"gold"'}}, {"itemId": "2"}
    )
    expression = "INCLUDE UserID WHERE Users.MEMBERSHIP IN ($LEVEL)"
    options = ("--recipe", "item-affinity", "--filter-expression", expression)
    result = cli("validate", file, *options)
    assert result.exit_code == 1
    assert f"{file}:2:1: the filter needs a value for LEVEL" in result.output
    assert f"{file}:1:" not in result.output


def test_without_an_expression_filter_values_may_be_there_or_not(cli, queries):
    file = queries(
        {"itemId": "1", "filterValues": {"LEVEL": '"gold"'}}, {"itemId": "2"}
    )
    assert cli("validate", file, "--recipe", "item-affinity").exit_code == 0


def test_json_for_programs(cli, queries):
    file = queries({"itemId": "1"}, {"itemId": 2})
    result = cli("validate", file, "--recipe", "item-affinity", "--json")
    assert result.exit_code == 1
    told = json.loads(result.output)
    assert told["files"] == [{"file": str(file), "queries": 1, "badLines": 1}]
    [bad] = told["badLines"]
    assert (bad["file"], bad["line"], bad["column"]) == (str(file), 2, 12)
    assert "must be a string" in bad["reason"]
    assert "1 line cannot be used" in told["problem"]


def test_json_of_good_files_has_no_problem(cli, queries):
    file = queries({"itemId": "1"})
    result = cli("validate", file, "--recipe", "item-affinity", "--json")
    assert result.exit_code == 0
    assert json.loads(result.output)["problem"] is None


def test_files_without_queries_are_no_success(cli, queries):
    result = cli("validate", queries("", " "), "--recipe", "item-affinity")
    assert result.exit_code == 1
    assert "no query in any file" in result.output


def test_more_than_a_run_takes_is_told_before_the_run(cli, queries):
    comedy = {"itemAttributes": 'ITEMS.GENRES = "Comedy"'}
    file = queries(*[comedy] * 10_001)
    result = cli("validate", file, "--recipe", "item-attribute-affinity")
    assert result.exit_code == 1
    assert "10,001 queries are more than the 10,000" in result.output


def test_a_file_that_is_not_there_is_named(cli, tmp_path):
    result = cli("validate", tmp_path / "none.jsonl", "--recipe", "item-affinity")
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {tmp_path}/none.jsonl cannot be read")


def test_an_unknown_recipe_is_wrong_usage(cli, queries):
    result = cli("validate", queries({"itemId": "1"}), "--recipe", "sims")
    assert result.exit_code == 2
    assert "item-attribute-affinity" in result.output


def test_help_tells_the_exit_codes(cli):
    for arguments in (["--help"], ["validate", "--help"], ["run", "--help"]):
        assert "Exit codes: 0 success" in cli(*arguments).output
