"""The results of all runs as tables, for Athena and what reads its catalogue.

Tables read the files of the results as they are, gzipped, from one partition for each
run, which the finishing function adds to the catalogue. Nothing crawls. Partition
projection would not do: it cannot list runs, whose names are hashes, and Redshift
Spectrum does not look at it.

From documentation, not tried on AWS: Athena's pages "Open CSV SerDe for processing
CSV" and "OpenX JSON SerDe", and Redshift's "CREATE EXTERNAL TABLE", which documents
OpenX for JSON. Not documented is that Redshift Spectrum turns what Open CSV reads into
`bigint`, as Athena does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_personalize_segments._runtime import locations
from cdk_personalize_segments.storage import Storage

PARTITION_KEY: Final = "run"


@dataclass(frozen=True, kw_only=True)
class _Format:
    """A table's files: how a line becomes a row."""

    description: str
    classification: str
    columns: Mapping[str, str]
    serde: str
    serde_parameters: Mapping[str, str]
    parameters: Mapping[str, str]


TABLES: Final = {
    "queries": _Format(
        description="What became of each query, by run",
        classification="json",
        columns={
            "query_id": "string",
            "file": "string",
            "line": "bigint",
            # In small letters, as Hive has names; the files have itemId and so on.
            "query": (
                "struct<itemid:string,itemattributes:string,"
                "filtervalues:map<string,string>>"
            ),
            "status": "string",
            "users": "bigint",
            "error": "string",
        },
        # The one for JSON that both Athena and Redshift document.
        serde="org.openx.data.jsonserde.JsonSerDe",
        serde_parameters={"case.insensitive": "true"},
        parameters={},
    ),
    "users": _Format(
        description="The users of each segment, by run",
        classification="csv",
        columns={"query_id": "string", "rank": "bigint", "user_id": "string"},
        serde="org.apache.hadoop.hive.serde2.OpenCSVSerde",
        serde_parameters={
            "separatorChar": ",",
            "quoteChar": '"',
            # Doubled quotes are understood anyway, and an escape character there
            # must be: left out, or set to the quote, it is the backslash, which would
            # vanish from user ids. So it is one that hardly is in any.
            "escapeChar": "\u0001",
        },
        parameters={"skip.header.line.count": "1"},
    ),
}


class ResultsTables(Construct):
    """A database with the tables `queries` and `users`."""

    def __init__(
        self, scope: Construct, construct_id: str, *, storage: Storage, run_prefix: str
    ) -> None:
        """Define database and tables.

        Args:
            scope: The pipeline.
            construct_id: The construct id.
            storage: Where its results are.
            run_prefix: What the names of its runs start with, which is unique.
        """
        super().__init__(scope, construct_id)
        self.database_name = _database_name(run_prefix)
        catalog = cdk.Stack.of(self).account
        database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=catalog,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=self.database_name,
                description=f"Results of the pipeline {scope.node.path}",
            ),
        )
        # Readers go by the partitions: the table's own location only has to be there.
        location = locations.uri(
            storage.output_bucket.bucket_name, storage.results_prefix
        )
        for name, form in TABLES.items():
            glue.CfnTable(
                self,
                name.capitalize(),
                catalog_id=catalog,
                database_name=database.ref,
                table_input=_table_input(name, form, location),
            )

    def resource_arns(self) -> list[str]:
        """Name what access to the tables is access to: Glue asks for all of it."""
        resources = (
            "catalog",
            f"database/{self.database_name}",
            *(f"table/{self.database_name}/{name}" for name in TABLES),
        )
        return [
            cdk.Stack.of(self).format_arn(
                service="glue",
                resource=each,
                arn_format=cdk.ArnFormat.NO_RESOURCE_NAME,
            )
            for each in resources
        ]

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal read what the tables are; not the files, which S3 grants.

        Args:
            grantee: Who may.
        """
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=[
                "glue:BatchGetPartition",
                "glue:GetDatabase",
                "glue:GetPartition",
                "glue:GetPartitions",
                "glue:GetTable",
                "glue:GetTables",
            ],
            resource_arns=self.resource_arns(),
        )


def _database_name(run_prefix: str) -> str:
    """Spell a run prefix as Athena takes names; the hash in it keeps it unique."""
    return re.sub(r"[^a-z0-9]", "_", run_prefix.lower())


def _table_input(
    name: str, form: _Format, location: str
) -> glue.CfnTable.TableInputProperty:
    columns = [
        glue.CfnTable.ColumnProperty(name=column, type=kind)
        for column, kind in form.columns.items()
    ]
    return glue.CfnTable.TableInputProperty(
        name=name,
        description=form.description,
        table_type="EXTERNAL_TABLE",
        parameters={
            "EXTERNAL": "TRUE",
            "classification": form.classification,
            "compressionType": "gzip",
            **form.parameters,
        },
        partition_keys=[
            glue.CfnTable.ColumnProperty(name=PARTITION_KEY, type="string")
        ],
        storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
            columns=columns,
            location=location,
            input_format="org.apache.hadoop.mapred.TextInputFormat",
            output_format="org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
            compressed=True,
            serde_info=glue.CfnTable.SerdeInfoProperty(
                serialization_library=form.serde,
                parameters=dict(form.serde_parameters),
            ),
        ),
    )
