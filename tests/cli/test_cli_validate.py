"""`validate`: offline, every bad line with its place and what to write instead."""

import json
import os

import pytest

from cdk_personalize_segments._runtime import limits


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
    assert (
        "3 queries in 2 files, all good; a run sends them in 1 part." in result.output
    )


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


@pytest.mark.parametrize("command", ["validate", "split"])
def test_without_an_expression_the_run_has_no_filter(cli, queries, tmp_path, command):
    file = queries(
        {"itemId": "1", "filterValues": {"LEVEL": '"gold"'}}, {"itemId": "2"}
    )
    to = ("--to", tmp_path / "runs") if command == "split" else ()
    result = cli(command, file, "--recipe", "item-affinity", *to)
    assert result.exit_code == 1
    assert f"{file}:1:17: filterValues is only for a filter" in result.output
    assert f"{file}:2:" not in result.output
    assert "give its expression with --filter-expression." in result.output
    assert not (tmp_path / "runs").exists()


def test_an_expression_is_not_asked_for_where_it_would_not_help(cli, queries):
    file = queries({"itemId": "1", "filterValues": {"LEVEL": '"gold"'}}, {"itemId": 2})
    plain = "INCLUDE UserID WHERE Users.AGE > 3"
    recipe = ("--recipe", "item-affinity")
    for result in (
        cli("validate", file, *recipe, "--filter-expression", plain),
        cli("validate", queries({"itemId": 2}), *recipe),
    ):
        assert result.exit_code == 1
        assert "--filter-expression" not in result.output


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
    genres = ({"itemAttributes": f'ITEMS.GENRES = "{n}"'} for n in range(10_001))
    file = queries(*genres)
    result = cli("validate", file, "--recipe", "item-attribute-affinity")
    assert result.exit_code == 1
    assert "at most 10,000 queries" in result.output
    assert "`personalize-segments split`" in result.output


def test_queries_that_are_asked_again_are_counted(cli, queries):
    file = queries({"itemId": "1"}, '{"itemId":"1"}', {"itemId": "2"})
    result = cli("validate", file, "--recipe", "item-affinity")
    assert "3 queries in 1 file, all good (1 of them asked before" in result.output


def test_how_many_users_are_asked_for_decides_what_fits(cli, queries):
    file = queries(*({"itemId": str(number)} for number in range(5001)))
    options = ("--recipe", "item-affinity", "--num-results")
    assert cli("validate", file, *options, 5_000).exit_code == 0
    result = cli("validate", file, *options, 5_000_000)
    assert result.exit_code == 1
    assert "at most 5,000 queries" in result.output


def test_folders_are_read_as_a_run_reads_them(cli, queries, tmp_path):
    folder = tmp_path / "all"
    (folder / "b").mkdir(parents=True)
    queries({"itemId": 1}, name="all/z.jsonl")
    queries({"itemId": 2}, name="all/b/ä.jsonl")
    queries({"itemId": 3}, name="all/b.jsonl")
    result = cli("validate", folder, "--recipe", "item-affinity", "--json")
    told = json.loads(result.output)["badLines"]
    assert [each["file"].removeprefix(f"{folder}/") for each in told] == [
        "b.jsonl",
        "b/ä.jsonl",
        "z.jsonl",
    ]
    (tmp_path / "none").mkdir()
    result = cli("validate", tmp_path / "none", "--recipe", "item-affinity")
    assert "has no files" in result.output


def test_more_files_than_a_run_reads_are_told(cli, queries, monkeypatch):
    monkeypatch.setattr(limits, "MAX_QUERY_FILES", 2)
    files = [queries({"itemId": "1"}, name=f"{name}.jsonl") for name in "abc"]
    assert cli("validate", *files[:2], "--recipe", "item-affinity").exit_code == 0
    result = cli("validate", *files, "--recipe", "item-affinity")
    assert result.exit_code == 1
    assert "3 query files are more than the 2 that one run reads" in result.output


def test_more_bytes_than_a_run_reads_are_told_and_split(
    cli, queries, monkeypatch, tmp_path
):
    monkeypatch.setattr(limits, "MAX_QUERY_BYTES", 50)
    file = queries(*[{"itemId": "1"}] * 7)
    result = cli("validate", file, "--recipe", "item-affinity")
    assert result.exit_code == 1
    assert "more than 50 bytes, uncompressed and with repeated queries" in result.output
    to = tmp_path / "runs"
    assert split(cli, file, to).exit_code == 0
    sizes = [len(each.read_text().splitlines()) for each in sorted(to.glob("*/*"))]
    assert sizes == [3, 3, 1]
    for folder in to.iterdir():
        assert cli("validate", folder, "--recipe", "item-affinity").exit_code == 0


def test_what_a_run_would_note_is_noted(cli, queries):
    empty = queries(name="empty.jsonl")
    file = queries({"itemAttributes": "ITEMS.YEAR = 1999"})
    result = cli("validate", empty, file, "--recipe", "item-attribute-affinity")
    assert result.exit_code == 0
    assert f"Note: {empty} holds no query." in result.output
    assert "Note: Not documented is whether Personalize takes" in result.output
    assert "as in 1 line." in result.output


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("garbage", "is the text of a filter, like 'INCLUDE UserID WHERE"),
        (
            'EXCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("Click")',
            "looks at interactions, which Personalize does not support",
        ),
    ],
)
def test_an_expression_that_no_run_could_use_is_wrong_usage(
    cli, queries, expression, says
):
    file = queries({"itemAttributes": 'ITEMS.GENRES = "Comedy"'})
    options = ("--recipe", "item-attribute-affinity", "--filter-expression", expression)
    result = cli("validate", file, *options)
    assert result.exit_code == 2
    assert says in result.output


def test_a_name_that_no_key_can_have_is_told(cli, tmp_path):
    (tmp_path / os.fsdecode(b"x\xff.jsonl")).write_text('{"itemId": "1"}')
    result = cli("validate", tmp_path, "--recipe", "item-affinity")
    assert result.exit_code == 1
    assert "x\\udcff.jsonl' is not UTF-8" in result.output


def split(cli, file, to, *options, recipe="item-affinity"):
    return cli("split", file, "--recipe", recipe, "--to", to, *options)


def test_too_many_queries_are_split_into_runs_that_fit(cli, queries, tmp_path):
    file = queries(*({"itemId": str(number // 2)} for number in range(10_100)))
    to = tmp_path / "runs"
    result = split(cli, file, to, "--num-results", 5_000_000)
    assert result.exit_code == 0
    folders = sorted(to.iterdir())
    assert [each.name for each in folders] == ["run-001", "run-002", "run-003"]
    assert f"personalize-segments run {to}/run-001 --num-results 5000000" in (
        result.output
    )
    for folder in folders:
        good = cli(
            *("validate", folder, "--recipe", "item-affinity"),
            *("--num-results", 5_000_000),
        )
        assert good.exit_code == 0, good.output
    lines = [
        json.loads(line)
        for folder in folders
        for line in (folder / "queries.jsonl").read_text().splitlines()
    ]
    assert lines == [json.loads(line) for line in file.read_text().splitlines()]


def test_attribute_queries_are_split_too(cli, queries, tmp_path):
    genres = ({"itemAttributes": f'ITEMS.GENRES = "{n}"'} for n in range(10_001))
    file = queries(*genres)
    split(cli, file, tmp_path / "runs", recipe="item-attribute-affinity")
    sizes = [
        len((folder / "queries.jsonl").read_text().splitlines())
        for folder in sorted((tmp_path / "runs").iterdir())
    ]
    assert sizes == [10_000, 1]


def test_nothing_is_split_while_a_line_cannot_be_used(cli, queries, tmp_path):
    result = split(cli, queries({"itemId": "1"}, {}), tmp_path / "runs")
    assert result.exit_code == 1
    assert "queries.jsonl:2:1: itemId is missing" in result.output
    assert "Nothing was written." in result.output
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_is_in_use_is_not_split_into(cli, queries, tmp_path):
    file = queries({"itemId": "1"})
    result = split(cli, file, tmp_path)
    assert result.exit_code == 1
    assert "name another folder" in result.output


def test_what_can_be_read_only_once_is_not_split(cli, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    result = split(cli, tmp_path / "pipe", tmp_path / "runs")
    assert result.exit_code == 1
    assert "a pipe or device, which can be read only once" in result.output
    assert not (tmp_path / "runs").exists()


def test_files_that_change_while_they_are_split_are_told(
    cli, queries, tmp_path, monkeypatch
):
    file = queries({"itemId": "1"}, {"itemId": "2"})

    def checked(bad_lines):
        assert list(bad_lines) == []
        file.write_text('{"itemId": "1"}')

    monkeypatch.setattr("cdk_personalize_segments.cli.split.print_bad_lines", checked)
    result = split(cli, file, tmp_path / "runs")
    assert result.exit_code == 1
    assert "2 lines were checked, and 1 written; delete" in result.output


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
