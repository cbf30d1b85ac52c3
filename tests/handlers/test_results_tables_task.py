"""Runs in the tables of results: partitions, and rows as the tables read them."""

import botocore.session
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from cdk_personalize_segments.results_tables import TABLES
from segment_tasks import clients, results_tables, users_csv
from segment_tasks.failures import AccessDenied
from segment_tasks.locations import Locations

PLACES = Locations(
    {
        "INPUT_BUCKET": "in",
        "QUERIES_PREFIX": "queries/",
        "INPUT_PREFIX": "input/",
        "OUTPUT_BUCKET": "out",
        "OUTPUT_PREFIX": "output/",
        "RESULTS_PREFIX": "a/results/",
        "RUN_PREFIX": "run",
    }
)
STORAGE = {
    "Columns": [{"Name": "rank", "Type": "bigint"}],
    "Location": "s3://out/a/results/",
    "SerdeInfo": {"SerializationLibrary": "a.Serde", "Parameters": {"a": "\u0001"}},
}


@pytest.fixture
def glue(monkeypatch):
    """Glue as a stub: what is asked of it is checked against the SDK's model."""
    monkeypatch.setenv("RESULTS_DATABASE", "films")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    client = botocore.session.get_session().create_client("glue", "us-east-1")
    monkeypatch.setattr(clients, "glue", lambda: client)
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def expect_table(glue, name):
    glue.add_response(
        "get_table",
        {"Table": {"Name": name, "StorageDescriptor": STORAGE}},
        {"DatabaseName": "films", "Name": name},
    )


def partition(name):
    location = f"s3://out/a/results/run-1/{name}/"
    return {
        "DatabaseName": "films",
        "TableName": name,
        "PartitionInput": {
            "Values": ["run-1"],
            "StorageDescriptor": {**STORAGE, "Location": location},
        },
    }


def test_both_folders_of_a_run_become_partitions_in_the_tables_own_format(glue):
    for name in TABLES:
        expect_table(glue, name)
        glue.add_response("create_partition", {}, partition(name))
    results_tables.register(PLACES, "run-1")


def test_a_run_that_is_there_already_stays(glue):
    for name in TABLES:
        expect_table(glue, name)
        glue.add_client_error("create_partition", "AlreadyExistsException")
    results_tables.register(PLACES, "run-1")


def test_without_tables_nothing_is_asked_of_glue(glue, monkeypatch):
    monkeypatch.delenv("RESULTS_DATABASE")
    results_tables.register(PLACES, "run-1")


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("get_table", "glue:GetTable"),
        ("create_partition", "glue:CreatePartition"),
    ],
)
def test_a_refusal_names_the_grant_that_is_missing(glue, operation, action):
    if operation == "create_partition":
        expect_table(glue, "queries")
    # Lake Formation's words, which name no action.
    words = "Insufficient Lake Formation permission(s) on queries"
    glue.add_client_error(operation, "AccessDeniedException", words)
    with pytest.raises(AccessDenied) as caught:
        results_tables.register(PLACES, "run-1")
    said = str(caught.value)
    assert f"Allow {action} on the Glue table films.queries" in said
    assert words in said


def test_what_is_neither_refused_nor_there_already_is_raised(glue):
    glue.add_client_error("get_table", "EntityNotFoundException", "No table")
    with pytest.raises(clients.glue().exceptions.EntityNotFoundException):
        results_tables.register(PLACES, "run-1")


def test_throttling_is_waited_out(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    clients.glue.cache_clear()
    retries = clients.glue().meta.config.retries
    clients.glue.cache_clear()
    assert retries["total_max_attempts"] >= 8


# --- Rows, as Open CSV reads them ---


def opencsv(line, separator, quote, escape):
    """Split a line as Open CSV 2.3 does, which Hive's SerDe is made of."""
    fields, text, quoted, inside, at = [], "", False, False, 0
    while at < len(line):
        character, following = line[at], line[at + 1 : at + 2]
        pairs = quoted or inside
        if character == escape:
            if pairs and following and following in (quote, escape):
                text += following
                at += 1
        elif character == quote:
            if pairs and following == quote:
                text += quote
                at += 1
            else:
                alone = line[at - 1] != separator and following not in ("", separator)
                if at > 2 and alone:
                    text = "" if text and text.isspace() else text + character
                quoted = not quoted
            inside = not inside
        elif character == separator and not quoted:
            fields.append(text)
            text, inside = "", False
        else:
            text += character
            inside = True
        at += 1
    return [*fields, text]


SETTINGS = TABLES["users"].serde_parameters
CHARACTERS = [SETTINGS[each] for each in ("separatorChar", "quoteChar", "escapeChar")]
# Line breaks are what no SerDe can read; the escape character stands in no id.
IDS = st.text(
    st.sampled_from("\",\\; \t\u00a0é—\u2028'`") | st.characters(codec="utf-8")
).map(
    lambda text: text.translate({10: None, 13: None, ord(SETTINGS["escapeChar"]): None})
)


@given(st.lists(IDS, min_size=1))
def test_user_ids_come_back_as_they_were(ids):
    quoted = users_csv.quoted([each.encode() for each in ids])
    lines = users_csv.rows("q000001", 1, quoted).decode().split("\n")
    assert lines.pop() == ""
    assert [opencsv(line, *CHARACTERS) for line in lines] == [
        ["q000001", str(rank), user] for rank, user in enumerate(ids, start=1)
    ]


@pytest.mark.parametrize("escape", ["\\", '"'])
def test_with_an_escape_character_that_ids_have_they_would_not(escape):
    [user] = users_csv.quoted([b'a\\"b'])
    line = users_csv.rows("q000001", 1, [user]).decode().rstrip("\n")
    assert opencsv(line, *CHARACTERS)[2] == 'a\\"b'
    # What Hive makes of the quote as an escape character.
    as_read = "\\" if escape == '"' else escape
    assert opencsv(line, ",", '"', as_read)[2] != 'a\\"b'


def test_the_header_is_the_tables_columns():
    columns = list(TABLES["users"].columns)
    assert users_csv.HEADER.decode() == ",".join(columns) + "\n"
