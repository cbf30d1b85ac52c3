"""Operations of Glue's catalogue, each by what another one tells of it."""

import uuid

import pytest
from botocore.exceptions import ClientError


class Catalogue:
    """A database with one table."""

    def __init__(self, client):
        self.client = client
        self.database = f"test_{uuid.uuid4().hex[:8]}"
        self.table = {"DatabaseName": self.database, "TableName": "users"}
        client.create_database(DatabaseInput={"Name": self.database})
        client.create_table(
            DatabaseName=self.database,
            TableInput={
                "Name": "users",
                "PartitionKeys": [{"Name": "run", "Type": "string"}],
            },
        )

    def add(self, value):
        self.client.create_partition(**self.table, PartitionInput=partition(value))

    def values(self, **filters):
        found = self.client.get_partitions(**self.table, **filters)["Partitions"]
        return sorted(value for each in found for value in each["Values"])

    def location(self, value):
        found = self.client.get_partition(**self.table, PartitionValues=[value])
        return found["Partition"]["StorageDescriptor"]["Location"]


def partition(value, location="s3://bucket/"):
    return {"Values": [value], "StorageDescriptor": {"Location": location}}


@pytest.fixture
def catalogue(aws):
    return Catalogue(aws.client("glue"))


@pytest.mark.emulates("glue:GetDatabases", "glue:GetTables")
def test_databases_and_tables_are_listed(catalogue):
    pages = catalogue.client.get_paginator("get_databases").paginate()
    names = [each["Name"] for page in pages for each in page["DatabaseList"]]
    assert catalogue.database in names
    tables = catalogue.client.get_tables(DatabaseName=catalogue.database)["TableList"]
    assert [each["Name"] for each in tables] == ["users"]


@pytest.mark.emulates("glue:CreatePartition", "glue:GetPartition", "glue:GetPartitions")
def test_a_partition_is_made_once(catalogue):
    catalogue.add("a")
    assert catalogue.location("a") == "s3://bucket/"
    assert catalogue.values() == ["a"]
    with pytest.raises(catalogue.client.exceptions.AlreadyExistsException):
        catalogue.add("a")


@pytest.mark.emulates("glue:UpdatePartition")
def test_a_partition_moves(catalogue):
    catalogue.add("a")
    catalogue.client.update_partition(
        **catalogue.table,
        PartitionValueList=["a"],
        PartitionInput=partition("a", "s3://other/"),
    )
    assert catalogue.location("a") == "s3://other/"


@pytest.mark.emulates("glue:DeletePartition")
def test_a_partition_is_deleted(catalogue):
    catalogue.add("a")
    catalogue.client.delete_partition(**catalogue.table, PartitionValues=["a"])
    assert catalogue.values() == []
    with pytest.raises(ClientError, match="EntityNotFoundException"):
        catalogue.location("a")


@pytest.mark.emulates("glue:BatchCreatePartition", "glue:BatchGetPartition")
def test_a_batch_tells_which_partitions_were_there(catalogue):
    catalogue.add("a")
    told = catalogue.client.batch_create_partition(
        **catalogue.table, PartitionInputList=[partition("a"), partition("b")]
    )
    [error] = told["Errors"]
    assert error["PartitionValues"] == ["a"]
    assert error["ErrorDetail"]["ErrorCode"] == "AlreadyExistsException"
    got = catalogue.client.batch_get_partition(
        **catalogue.table, PartitionsToGet=[{"Values": ["b"]}, {"Values": ["c"]}]
    )
    assert [each["Values"] for each in got["Partitions"]] == [["b"]]
