"""The tables of a deployed pipeline, read with DuckDB as the catalogue has them.

What is read are the files of real runs, by the columns, formats and partitions that
the local Glue catalogue names.
"""

import csv
import gzip
import io
import json
import re
import uuid
from pathlib import Path

import duckdb
import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion

pytestmark = pytest.mark.xdist_group("results_tables")

ODD = [
    '"',
    'a"b',
    '""',
    "a,b",
    ",",
    "a\\b",
    "\\",
    '\\"',
    "ünï—✓",
    " spaced ",
    "'q'",
    "#",
]
OTHERS = [f"other-{number}" for number in range(6)]
OPENCSV = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
OPENX = "org.openx.data.jsonserde.JsonSerDe"

# As the docs have them: RUN and EARLIER_RUN stand for names of runs.
USERS_OF_A_SEGMENT = """\
SELECT u.user_id
FROM users u
JOIN queries q ON q.run = u.run AND q.query_id = u.query_id
WHERE u.run = 'RUN' AND q.query.itemId = '105'
ORDER BY u.rank
"""
OVERLAP = """\
SELECT count(DISTINCT a.user_id) AS shared
FROM users a
JOIN users b ON b.run = a.run AND b.user_id = a.user_id
WHERE a.run = 'RUN' AND a.query_id = 'q000001' AND b.query_id = 'q000002'
"""
CHANGES = """\
SELECT u.user_id, CASE max(u.run) WHEN 'RUN' THEN 'joined' ELSE 'left' END AS change
FROM users u
JOIN queries q ON q.run = u.run AND q.query_id = u.query_id
WHERE u.run IN ('RUN', 'EARLIER_RUN') AND q.query.itemId = '105'
GROUP BY u.user_id
HAVING count(DISTINCT u.run) = 1
"""


@pytest.fixture(scope="module")
def shop(aws, tmp_path_factory):
    """Seed a shop whose users have odd ids, and give a way to train it on others."""

    def views(people):
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["USER_ID", "ITEM_ID"])
        writer.writerows([user, "105"] for user in people)
        writer.writerows([user, "7"] for user in [*people[::2], *OTHERS])
        return text.getvalue()

    def seed(people, **names):
        folder = tmp_path_factory.mktemp("shop")
        (folder / "items.csv").write_text("ITEM_ID\n105\n7\n")
        (folder / "interactions.csv").write_text(views(people), encoding="utf-8")
        return aws.personalize.seed(folder, **names)

    solution = seed(ODD, name="tables").rpartition("/")[0]

    def train(people):
        seed(people, name=f"tables-{uuid.uuid4().hex[:8]}", dataset_group="tables")
        aws.personalize.retrain(solution)

    return solution, train


@pytest.fixture(scope="module")
def pipeline(deploy, shop):
    solution, _ = shop

    def define(stack):
        return {
            "P": BatchSegmentPipeline(
                stack,
                "P",
                solution_version=SolutionVersion.latest_of(solution),
                # Those who viewed an item; others like it a little, too.
                num_results=len(ODD),
                results_table=True,
            )
        }

    return deploy("Tables", define)["P"]


@pytest.fixture(scope="module")
def database(list_all, pipeline):
    [name] = {
        each["Environment"]["Variables"]["RESULTS_DATABASE"]
        for each in list_all("lambda", "list_functions")
        if each["FunctionName"].startswith("Tables-")
    }
    return name


@pytest.fixture(scope="module")
def runs(pipeline, shop):
    """Two runs of the same queries; one user leaves and one comes in between."""
    _, train = shop
    queries = [{"itemId": "105"}, {"itemId": "7"}, {"itemId": "unknown"}]
    pipeline.put("films", queries, name="ä film")
    found = []
    for people in (ODD, [*ODD[1:], 'new,"1"']):
        train(people)
        execution = pipeline.run("films")
        assert execution.status == "SUCCEEDED", execution.cause
        found.append(execution.output["run"])
    return found


@pytest.fixture(scope="module")
def lake(aws, database, runs, tmp_path_factory):
    """Read the tables into DuckDB from what their catalogue says, and nothing else."""
    connection = duckdb.connect()
    glue = aws.client("glue")
    for table in glue.get_tables(DatabaseName=database)["TableList"]:
        name = table["Name"]
        pages = glue.get_paginator("get_partitions").paginate(
            DatabaseName=database, TableName=name
        )
        folder = tmp_path_factory.mktemp(name)
        parts = []
        for partition in (each for page in pages for each in page["Partitions"]):
            [run] = partition["Values"]
            storage = partition["StorageDescriptor"]
            files = download(aws, storage["Location"], folder / run)
            rows = read(storage, files)
            parts.append(f"SELECT *, '{run}' AS run FROM ({rows})")  # noqa: S608
        connection.execute(f"CREATE TABLE {name} AS {' UNION ALL '.join(parts)}")
    yield connection
    connection.close()


def download(aws, location, folder):
    """Fetch all that is beneath an S3 location, whatever it is."""
    folder.mkdir(parents=True)
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    client = aws.client("s3")
    files = []
    for each in client.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]:
        files.append(folder / each["Key"].rpartition("/")[2])
        client.download_file(bucket, each["Key"], str(files[-1]))
    return files


def read(storage, files):
    """Write a table's format as DuckDB's."""
    settings = storage["SerdeInfo"]["Parameters"]
    columns = {each["Name"]: each["Type"] for each in storage["Columns"]}
    paths = [str(each) for each in files]
    if storage["SerdeInfo"]["SerializationLibrary"] == OPENCSV:
        contents = b"".join(gzip.decompress(each.read_bytes()) for each in files)
        # Open CSV has an escape character besides doubled quotes; DuckDB has either.
        assert settings["escapeChar"].encode() not in contents
        quote = settings["quoteChar"]
        return (
            f"FROM read_csv({paths}, columns = {duckdb_types(columns)}, "
            f"delim = '{settings['separatorChar']}', quote = '{quote}', "
            f"escape = '{quote}', header = false, skip = 1, auto_detect = false, "
            "compression = 'gzip', nullstr = 'nothing', strict_mode = true)"
        )
    assert storage["SerdeInfo"]["SerializationLibrary"] == OPENX
    assert settings["case.insensitive"] == "true"
    # DuckDB takes the names of JSON by their letters, OpenX by small ones.
    columns["query"] = re.sub(
        r"\w+(?=:)", lambda name: spelled(files)[name[0]], columns["query"]
    )
    return (
        f"FROM read_json({paths}, columns = {duckdb_types(columns)}, "
        "format = 'newline_delimited', compression = 'gzip')"
    )


def spelled(files):
    """Map names in small letters to those of the queries in some files."""
    names = {"itemId", "itemAttributes", "filterValues"}
    for each in files:
        for line in gzip.decompress(each.read_bytes()).splitlines():
            names |= json.loads(line)["query"].keys()
    return {each.lower(): each for each in names}


def duckdb_types(columns):
    types = {}
    for name, kind in columns.items():
        kind = re.sub(r"(\w+):", r"\1 ", kind).replace("<", "(").replace(">", ")")
        types[name] = kind.replace("string", "VARCHAR")
    return types


def test_each_run_is_a_partition_of_both_tables(aws, database, pipeline, runs):
    glue = aws.client("glue")
    for table in ("queries", "users"):
        found = glue.get_partitions(DatabaseName=database, TableName=table)
        assert {
            each["Values"][0]: each["StorageDescriptor"]["Location"]
            for each in found["Partitions"]
        } == {
            run: f"s3://{pipeline.output_bucket}/results/{run}/{table}/" for run in runs
        }


def test_the_tables_have_every_row_of_the_files_as_it_was(lake, pipeline, runs):
    for run in runs:
        users = {}
        for query_id, rank, user in lake.execute(
            "SELECT query_id, rank, user_id FROM users WHERE run = ? ORDER BY ALL",
            [run],
        ).fetchall():
            users.setdefault(query_id, []).append(user)
            assert rank == len(users[query_id])
        assert users == pipeline.users(run)
        rows = lake.execute(
            "SELECT query_id, file, line, query.itemId, status, users, error "
            "FROM queries WHERE run = ? ORDER BY 1",
            [run],
        ).fetchall()
        written = sorted(pipeline.queries(run), key=lambda row: row["query_id"])
        assert rows == [
            tuple(
                row["query"]["itemId"] if key == "query" else row[key]
                for key in (
                    "query_id",
                    "file",
                    "line",
                    "query",
                    "status",
                    "users",
                    "error",
                )
            )
            for row in written
        ]
        assert [row["status"] for row in written] == ["segment", "segment", "failed"]


def test_odd_user_ids_are_read_as_they_are(lake, runs):
    first, _ = runs
    users = [user for (user,) in ask(lake, USERS_OF_A_SEGMENT, first)]
    assert sorted(users) == sorted(ODD)


def test_two_segments_overlap_in_the_users_they_share(lake, runs):
    assert ask(lake, OVERLAP, runs[0]) == [(len(ODD[::2]),)]


def test_changes_since_the_last_run_are_who_came_and_who_went(lake, runs):
    before, run = runs
    assert sorted(ask(lake, CHANGES, run, before)) == sorted(
        [(ODD[0], "left"), ('new,"1"', "joined")]
    )


def ask(lake, query, run, earlier=""):
    asked = query.replace("EARLIER_RUN", earlier).replace("'RUN'", f"'{run}'")
    return lake.execute(asked).fetchall()


# --- Access ---


@pytest.fixture
def finish_role(list_all, pipeline):
    [role] = [
        each
        for each in list_all("iam", "list_roles")
        if each["RoleName"].startswith("Tables-PFinishRole")
    ]
    return role


@pytest.fixture
def glue_as_finish(aws, finish_role):
    credentials = aws.sessions.issue(finish_role["Arn"])
    return aws.create_client("glue", "us-east-1", **credentials)


def test_finish_adds_partitions_and_does_nothing_else_with_tables(
    aws, glue_as_finish, database
):
    glue = glue_as_finish
    partition = {
        "DatabaseName": database,
        "TableName": "users",
        "PartitionInput": {"Values": ["of-a-test"]},
    }
    glue.create_partition(**partition)
    aws.client("glue").delete_partition(
        DatabaseName=database, TableName="users", PartitionValues=["of-a-test"]
    )
    denied = [
        lambda: glue.delete_partition(
            DatabaseName=database, TableName="users", PartitionValues=["of-a-test"]
        ),
        lambda: glue.update_partition(**partition, PartitionValueList=["of-a-test"]),
        lambda: glue.delete_table(DatabaseName=database, Name="users"),
        lambda: glue.create_partition(**{**partition, "TableName": "others"}),
        lambda: glue.get_table(DatabaseName="others", Name="users"),
    ]
    for call in denied:
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_a_run_that_may_not_be_added_is_denied_saved_and_can_be_added_later(
    aws, pipeline, database, finish_role, runs
):
    iam = aws.client("iam")
    name = finish_role["RoleName"]
    policy = iam.get_role_policy(RoleName=name, PolicyName="Task")["PolicyDocument"]

    def put(statements):
        document = json.dumps({**policy, "Statement": statements})
        iam.put_role_policy(RoleName=name, PolicyName="Task", PolicyDocument=document)

    granted = policy["Statement"]
    put([each for each in granted if each["Sid"] != "AddRunToTables"])
    try:
        execution = pipeline.run("films")
    finally:
        put(granted)
    assert (execution.status, execution.error) == ("FAILED", "AccessDenied")
    assert "glue:GetTable on arn:aws:glue:us-east-1:123456789012:" in execution.cause
    [run] = set(re.findall(r"results/([^/]+)/manifest.json", execution.cause))
    manifest = pipeline.manifest(run)
    assert manifest["failure"]["error"] == "AccessDenied"
    assert manifest["queries"]["segments"] == 2
    assert sum(map(len, pipeline.users(run).values())) == manifest["users"] > 0
    resumed = pipeline.run(resume=run)
    assert resumed.status == "SUCCEEDED", resumed.cause
    found = aws.client("glue").get_partitions(DatabaseName=database, TableName="users")
    added = {each["Values"][0] for each in found["Partitions"]}
    assert added == {*runs, resumed.output["run"]}


@pytest.mark.parametrize("sql", [USERS_OF_A_SEGMENT, OVERLAP, CHANGES])
def test_the_docs_have_the_queries_that_are_tried_here(sql):
    page = Path(__file__).parents[2] / "docs" / "how-to" / "tables.md"
    assert f"```sql\n{sql}```" in page.read_text(encoding="utf-8")
