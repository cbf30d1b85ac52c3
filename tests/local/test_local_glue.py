"""Glue databases and tables of stacks, and what roles may do with them."""

import copy
import json
import uuid

import pytest
from botocore.exceptions import ClientError

CATALOG = "123456789012"
DATABASE = {
    "CatalogId": CATALOG,
    "DatabaseInput": {
        "Description": "Of a test",
        "LocationUri": "s3://bucket/",
        "Parameters": {"team": "crm"},
    },
}
TABLE_INPUT = {
    "Name": "users",
    "Description": "Rows",
    "Owner": "crm",
    "TableType": "EXTERNAL_TABLE",
    "Parameters": {"skip.header.line.count": "1"},
    "PartitionKeys": [{"Name": "run", "Type": "string", "Comment": "Of a pipeline"}],
    "StorageDescriptor": {
        "Columns": [{"Name": "rank", "Type": "bigint"}],
        "Compressed": True,
        "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
        "Location": "s3://bucket/users/",
        "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
        "Parameters": {"a": "b"},
        "SerdeInfo": {
            "Name": "csv",
            "SerializationLibrary": "org.apache.hadoop.hive.serde2.OpenCSVSerde",
            "Parameters": {"escapeChar": "\u0001", "quoteChar": '"'},
        },
    },
}


def table(**changes):
    given = copy.deepcopy(TABLE_INPUT) | changes
    return {
        "CatalogId": CATALOG,
        "DatabaseName": {"Ref": "Database"},
        "TableInput": given,
    }


@pytest.fixture
def deploy(local_aws):
    """Create, update or delete a stack of Glue resources, of a name of its own."""
    client = local_aws.client("cloudformation")
    name = f"test-{uuid.uuid4().hex[:8]}"
    exists = []

    def act(**resources):
        template = {
            "Resources": {
                key: {"Type": f"AWS::Glue::{key}", "Properties": properties}
                for key, properties in resources.items()
            },
            "Outputs": {key: {"Value": {"Ref": key}} for key in resources},
        }
        call = client.update_stack if exists else client.create_stack
        exists.append(True)
        call(StackName=name, TemplateBody=json.dumps(template))
        return client.describe_stacks(StackName=name)["Stacks"][0]

    def reason(logical_id):
        events = client.describe_stack_events(StackName=name)["StackEvents"]
        return next(
            each["ResourceStatusReason"]
            for each in events
            if each["LogicalResourceId"] == logical_id
            and each["ResourceStatus"].endswith("_FAILED")
        )

    act.delete = lambda: client.delete_stack(StackName=name)
    act.reason = reason
    act.unique = name.replace("-", "_")
    return act


def refs(stack):
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def test_a_database_and_its_table_are_as_declared(deploy, local_aws):
    glue = local_aws.client("glue")
    stack = deploy(Database=DATABASE, Table=table())
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    made = refs(stack)
    assert made["Table"] == "users"
    assert made["Database"] == made["Database"].lower()
    database = glue.get_database(Name=made["Database"])["Database"]
    for key, value in DATABASE["DatabaseInput"].items():
        assert database[key] == value
    found = glue.get_table(DatabaseName=made["Database"], Name="users")["Table"]
    for key, value in TABLE_INPUT.items():
        assert found[key] == value


def test_an_update_keeps_the_partitions_and_a_deletion_nothing(deploy, local_aws):
    glue = local_aws.client("glue")
    name = refs(deploy(Database=DATABASE, Table=table()))["Database"]
    partition = {"Values": ["a"], "StorageDescriptor": {"Location": "s3://b/a/"}}
    glue.create_partition(
        DatabaseName=name, TableName="users", PartitionInput=partition
    )
    changed = {**DATABASE, "DatabaseInput": {"Description": "Changed"}}
    stack = deploy(Database=changed, Table=table(Description="Changed"))
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert refs(stack)["Database"] == name
    assert glue.get_database(Name=name)["Database"]["Description"] == "Changed"
    found = glue.get_table(DatabaseName=name, Name="users")["Table"]
    assert found["Description"] == "Changed"
    [kept] = glue.get_partitions(DatabaseName=name, TableName="users")["Partitions"]
    assert kept["Values"] == ["a"]
    deploy.delete()
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.get_database(Name=name)


def test_a_table_that_leaves_its_stack_is_deleted(deploy, local_aws):
    glue = local_aws.client("glue")
    name = refs(deploy(Database=DATABASE, Table=table()))["Database"]
    assert deploy(Database=DATABASE)["StackStatus"] == "UPDATE_COMPLETE"
    assert glue.get_tables(DatabaseName=name)["TableList"] == []


def test_a_database_may_be_named_in_either_place(deploy, local_aws):
    glue = local_aws.client("glue")
    first, second = f"{deploy.unique}_a", f"{deploy.unique}_b"
    inner = {"CatalogId": CATALOG, "DatabaseInput": {"Name": first}}
    assert refs(deploy(Database=inner))["Database"] == first
    outer = {"CatalogId": CATALOG, "DatabaseName": second, "DatabaseInput": {}}
    assert refs(deploy(Database=outer))["Database"] == second
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.get_database(Name=first)


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({**DATABASE, "DatabaseInput": {"TargetDatabase": {}}}, "TargetDatabase"),
        ({**DATABASE, "CatalogId": "111122223333"}, "CatalogId must be 123456789012"),
    ],
)
def test_what_a_database_cannot_be_is_told(deploy, properties, named):
    stack = deploy(Database=properties)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert named in deploy.reason("Database")


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        (table(TargetTable={"Name": "a"}), "TableInput.TargetTable"),
        (table(StorageDescriptor={"SchemaReference": {}}), "SchemaReference"),
    ],
)
def test_properties_of_a_table_that_are_not_honoured_are_refused(
    deploy, properties, named
):
    stack = deploy(Database=DATABASE, Table=properties)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert named in deploy.reason("Table")


def test_names_do_not_change_in_place(deploy):
    deploy(Database=DATABASE, Table=table())
    stack = deploy(Database=DATABASE, Table=table(Name="other"))
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "does not rename users to other" in deploy.reason("Table")


# --- Permissions ---

ARN = f"arn:aws:glue:us-east-1:{CATALOG}:"
USERS = [f"{ARN}catalog", f"{ARN}database/d", f"{ARN}table/d/users"]


def policy(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def glue_as(local_aws):
    """Make a Glue client that may do one action on some resources."""
    iam = local_aws.client("iam")
    made = []

    def client(action, resources):
        trust = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"AWS": "*"},
        }
        statement = {"Effect": "Allow", "Action": action, "Resource": resources}
        name = f"glue-{uuid.uuid4().hex[:8]}"
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))
        iam.put_role_policy(
            RoleName=name, PolicyName="p", PolicyDocument=policy(statement)
        )
        made.append(name)
        credentials = local_aws.sessions.issue(role["Role"]["Arn"])
        return local_aws.create_client("glue", "us-east-1", **credentials)

    yield client
    for name in made:
        iam.delete_role_policy(RoleName=name, PolicyName="p")
        iam.delete_role(RoleName=name)


def answer(call, **parameters):
    """Return the code of an answer: the tables are not there."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]


def test_a_table_needs_its_database_and_catalogue_too(glue_as):
    partition = {
        "DatabaseName": "d",
        "TableName": "users",
        "PartitionInput": {"Values": ["a"]},
    }
    client = glue_as("glue:CreatePartition", USERS)
    error = answer(client.create_partition, **partition)
    assert error["Code"] == "EntityNotFoundException"
    for missing in USERS:
        fewer = [each for each in USERS if each != missing]
        client = glue_as("glue:CreatePartition", fewer)
        error = answer(client.create_partition, **partition)
        assert error["Code"] == "AccessDeniedException"
        assert missing in error["Message"]


def test_another_table_or_action_is_denied(glue_as):
    client = glue_as(["glue:GetTable", "glue:GetDatabase"], USERS)
    found = answer(client.get_table, DatabaseName="d", Name="users")
    assert found["Code"] == "EntityNotFoundException"
    found = answer(client.get_database, Name="d")
    assert found["Code"] == "EntityNotFoundException"
    for call, parameters in (
        (client.get_table, {"DatabaseName": "d", "Name": "queries"}),
        (client.get_database, {"Name": "e"}),
        (client.get_partitions, {"DatabaseName": "d", "TableName": "users"}),
    ):
        assert answer(call, **parameters)["Code"] == "AccessDeniedException"


def test_what_is_not_known_to_need_what_is_refused_by_name(glue_as):
    error = answer(glue_as("*", "*").get_crawlers)
    assert error["Code"] == "NotImplemented"
    assert "GetCrawlers" in error["Message"]
