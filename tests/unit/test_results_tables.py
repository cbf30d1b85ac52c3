"""`results_table`: a database and two tables, for those who ask for them."""

import re

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template

ACTIONS = ("Prepare", "CreateJob", "PollJob", "Collect", "Finish")


@pytest.fixture
def template(stack, make_pipeline):
    make_pipeline(results_table=True)
    return Template.from_stack(stack)


def tables(template):
    found = template.find_resources("AWS::Glue::Table").values()
    return {
        each["Properties"]["TableInput"]["Name"]: each["Properties"]["TableInput"]
        for each in found
    }


def variables(template):
    functions = template.find_resources("AWS::Lambda::Function").values()
    return [each["Properties"]["Environment"]["Variables"] for each in functions]


def glue_statements(template, statements, role):
    return [
        each
        for each in statements(template, f"{role}Role")
        if "glue:" in str(each["Action"])
    ]


def test_there_are_none_by_default(stack, make_pipeline, statements):
    pipeline = make_pipeline()
    template = Template.from_stack(stack)
    assert pipeline.results_database_name is None
    template.resource_count_is("AWS::Glue::Database", 0)
    template.resource_count_is("AWS::Glue::Table", 0)
    assert not [each for each in variables(template) if "RESULTS_DATABASE" in each]
    for role in ACTIONS:
        assert glue_statements(template, statements, role) == []


def test_the_property_is_true_or_false(make_pipeline):
    with pytest.raises(TypeError) as caught:
        make_pipeline(results_table="yes")
    assert str(caught.value) == "results_table must be True or False, got 'yes'"


def test_the_database_has_a_name_that_needs_no_quotes_and_no_other_pipeline(
    stack, make_pipeline
):
    names = [
        make_pipeline(key, results_table=True).results_database_name
        for key in ("Segments", "segments", "Ségments—2")
    ]
    template = Template.from_stack(stack)
    made = template.find_resources("AWS::Glue::Database").values()
    assert sorted(names) == sorted(
        each["Properties"]["DatabaseInput"]["Name"] for each in made
    )
    assert len(set(names)) == 3
    for name in names:
        assert re.fullmatch(r"films_[a-z0-9_]+_[0-9a-f]{8}", name)


def test_functions_are_told_the_database_and_finish_waits_for_its_tables(
    stack, make_pipeline
):
    pipeline = make_pipeline(results_table=True)
    template = Template.from_stack(stack)
    name = pipeline.results_database_name
    assert {each["RESULTS_DATABASE"] for each in variables(template)} == {name}
    functions = template.find_resources("AWS::Lambda::Function")
    [finish] = [each for key, each in functions.items() if "Finish" in key]
    assert set(template.find_resources("AWS::Glue::Table")) <= set(finish["DependsOn"])


def test_the_tables_read_what_runs_write(template):
    shapes = {
        name: {
            each["Name"]: each["Type"] for each in table["StorageDescriptor"]["Columns"]
        }
        for name, table in tables(template).items()
    }
    assert shapes == {
        "queries": {
            "query_id": "string",
            "file": "string",
            "line": "bigint",
            "query": (
                "struct<itemid:string,itemattributes:string,"
                "filtervalues:map<string,string>>"
            ),
            "status": "string",
            "users": "bigint",
            "error": "string",
        },
        "users": {"query_id": "string", "rank": "bigint", "user_id": "string"},
    }
    for table in tables(template).values():
        assert table["PartitionKeys"] == [{"Name": "run", "Type": "string"}]
        assert not [key for key in table["Parameters"] if "projection" in key]


def test_no_character_of_a_user_id_is_taken_for_an_escape(template):
    table = tables(template)["users"]
    assert table["Parameters"]["skip.header.line.count"] == "1"
    settings = table["StorageDescriptor"]["SerdeInfo"]["Parameters"]
    assert (settings["separatorChar"], settings["quoteChar"]) == (",", '"')
    # Left out, or the quote, it would be the backslash; Trino wants 7 bits.
    [escape] = settings["escapeChar"]
    assert escape not in {'"', "\\", "\0"}
    assert not escape.isprintable()
    assert escape.isascii()


@pytest.mark.parametrize("imported", [False, True])
def test_the_tables_are_of_the_folder_of_results(stack, make_pipeline, imported):
    theirs = s3.Bucket.from_bucket_name(stack, "Theirs", "their-bucket")
    make_pipeline(
        results_table=True,
        output_bucket=theirs if imported else None,
        results_prefix="a/b/",
    )
    for table in tables(Template.from_stack(stack)).values():
        location = table["StorageDescriptor"]["Location"]
        if imported:
            assert location == "s3://their-bucket/a/b/"
        else:
            [start, bucket, end] = location["Fn::Join"][1]
            assert (start, end) == ("s3://", "/a/b/")
            assert "OutputBucket" in bucket["Ref"]


def test_only_finish_adds_partitions_and_to_these_tables_only(
    stack, make_pipeline, statements
):
    pipeline = make_pipeline(results_table=True)
    template = Template.from_stack(stack)
    [statement] = glue_statements(template, statements, "Finish")
    assert statement["Action"] == ["glue:CreatePartition", "glue:GetTable"]
    assert arns(statement) == expected(pipeline.results_database_name)
    for role in ACTIONS[:-1]:
        assert glue_statements(template, statements, role) == []


@pytest.mark.parametrize("on", [True, False])
def test_readers_of_results_read_what_the_tables_are(stack, make_pipeline, on):
    pipeline = make_pipeline(results_table=on)
    reader = iam.Role(
        stack, "Reader", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com")
    )
    pipeline.grant_read_results(reader).assert_success()
    policies = Template.from_stack(stack).find_resources("AWS::IAM::Policy")
    [policy] = [
        each["Properties"]["PolicyDocument"]["Statement"]
        for key, each in policies.items()
        if "Reader" in key
    ]
    found = [each for each in policy if "glue:" in str(each["Action"])]
    assert len(policy) - len(found) == 2
    if not on:
        assert found == []
        return
    [statement] = found
    assert all(re.match("glue:(Batch)?Get", each) for each in statement["Action"])
    assert arns(statement) == expected(pipeline.results_database_name)


def test_nobody_has_access_to_the_tables_of_another_pipeline(
    stack, make_pipeline, statements
):
    other = make_pipeline("Other", results_table=True).results_database_name
    make_pipeline(results_table=True)
    template = Template.from_stack(stack)
    [statement] = glue_statements(template, statements, "SegmentsFinish")
    assert not [each for each in arns(statement) if other in each]


def test_a_database_s_name_is_known_where_the_stack_s_account_is_not(template):
    [database] = template.find_resources("AWS::Glue::Database").values()
    assert isinstance(database["Properties"]["DatabaseInput"]["Name"], str)
    assert database["Properties"]["CatalogId"] == {"Ref": "AWS::AccountId"}


def test_tables_go_with_the_stack_whatever_becomes_of_the_data(stack, make_pipeline):
    make_pipeline(results_table=True, removal_policy=cdk.RemovalPolicy.RETAIN)
    template = Template.from_stack(stack)
    for kind in ("AWS::Glue::Database", "AWS::Glue::Table"):
        for each in template.find_resources(kind).values():
            assert each.get("DeletionPolicy", "Delete") == "Delete"


def arns(statement):
    """Read the resources of a statement, without what is before the account."""
    return {each["Fn::Join"][1][-1] for each in statement["Resource"]}


def expected(database):
    return {
        ":catalog",
        f":database/{database}",
        f":table/{database}/queries",
        f":table/{database}/users",
    }
