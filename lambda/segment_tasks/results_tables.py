"""Adds a run to the tables of results, where a pipeline has them."""

import os
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from . import clients
from .aws_errors import code, refusals_named
from .locations import Locations, uri

if TYPE_CHECKING:
    from mypy_boto3_glue.type_defs import StorageDescriptorTypeDef


def register(places: Locations, run: str) -> None:
    """Make a run's results rows of the tables, unless they are already."""
    database = os.environ.get("RESULTS_DATABASE")
    if not database:
        return
    folders = {
        "queries": places.queries_folder(run),
        "users": places.users_folder(run),
    }
    for table, folder in folders.items():
        with refusals_named(f"the Glue table {database}.{table}"):
            _add_partition(database, table, run, uri(places.output_bucket, folder))


def _add_partition(database: str, table: str, run: str, location: str) -> None:
    glue = clients.glue()
    found = glue.get_table(DatabaseName=database, Name=table)["Table"]
    # A partition is read by its own format, not by its table's.
    storage: StorageDescriptorTypeDef = {
        **found["StorageDescriptor"],
        "Location": location,
    }
    try:
        glue.create_partition(
            DatabaseName=database,
            TableName=table,
            PartitionInput={"Values": [run], "StorageDescriptor": storage},
        )
    except ClientError as error:
        # By an attempt that was cut short, or by the run that this one resumes.
        if code(error) != "AlreadyExistsException":
            raise
