"""Databases and tables of the Glue Data Catalog."""

from typing import Any, Final

from cdk_personalize_segments.local.resources.base import (
    Place,
    Properties,
    ResourceError,
    ResourceType,
    chosen,
)

_LONGEST_NAME: Final = 255
_COLUMN: Final = ("Comment", "Name", "Type")


class Database(ResourceType):
    """AWS::Glue::Database."""

    type = "AWS::Glue::Database"
    kept = "all of it, since nothing queries it here"
    honoured = frozenset(
        {
            "CatalogId",
            "DatabaseInput.Description",
            "DatabaseInput.LocationUri",
            "DatabaseInput.Name",
            "DatabaseInput.Parameters.*",
            "DatabaseName",
        }
    )
    replaced_on = frozenset({"CatalogId", "DatabaseName"})

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the database."""
        _check_catalog(place, new)
        given = new["DatabaseInput"]
        name = new.get("DatabaseName") or given.get("Name")
        name = name or place.new_name(logical_id, _LONGEST_NAME).lower()
        place.client("glue").create_database(DatabaseInput={**given, "Name": name})
        return str(name)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Change all but the name."""
        given = new["DatabaseInput"]
        _check_name(physical_id, given.get("Name", physical_id))
        place.client("glue").update_database(
            Name=physical_id, DatabaseInput={**given, "Name": physical_id}
        )

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the database with what is in it."""
        place.client("glue").delete_database(Name=physical_id)


class Table(ResourceType):
    """AWS::Glue::Table, with the format of its files and its partition keys."""

    type = "AWS::Glue::Table"
    kept = "all of it, since nothing queries it here"
    honoured = frozenset(
        {
            "CatalogId",
            "DatabaseName",
            "TableInput.Description",
            "TableInput.Name",
            "TableInput.Owner",
            "TableInput.Parameters.*",
            "TableInput.TableType",
            *(f"TableInput.PartitionKeys.{each}" for each in _COLUMN),
            *(f"TableInput.StorageDescriptor.Columns.{each}" for each in _COLUMN),
            "TableInput.Retention",
            "TableInput.StorageDescriptor.BucketColumns",
            "TableInput.StorageDescriptor.Compressed",
            "TableInput.StorageDescriptor.InputFormat",
            "TableInput.StorageDescriptor.Location",
            "TableInput.StorageDescriptor.NumberOfBuckets",
            "TableInput.StorageDescriptor.OutputFormat",
            "TableInput.StorageDescriptor.Parameters.*",
            "TableInput.StorageDescriptor.SerdeInfo.Name",
            "TableInput.StorageDescriptor.SerdeInfo.Parameters.*",
            "TableInput.StorageDescriptor.SerdeInfo.SerializationLibrary",
            "TableInput.StorageDescriptor.SortColumns.Column",
            "TableInput.StorageDescriptor.SortColumns.SortOrder",
            "TableInput.StorageDescriptor.StoredAsSubDirectories",
            "TableInput.ViewExpandedText",
            "TableInput.ViewOriginalText",
        }
    )
    replaced_on = frozenset({"CatalogId", "DatabaseName"})

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the table."""
        _check_catalog(place, new)
        given = new["TableInput"]
        name = given.get("Name") or place.new_name(logical_id, _LONGEST_NAME).lower()
        place.client("glue").create_table(
            **chosen(new, "DatabaseName"), TableInput={**given, "Name": name}
        )
        return str(name)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Change all but the name; partitions stay as they are."""
        given: dict[str, Any] = new["TableInput"]
        _check_name(physical_id, given.get("Name", physical_id))
        place.client("glue").update_table(
            **chosen(new, "DatabaseName"), TableInput={**given, "Name": physical_id}
        )

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the table with its partitions."""
        place.client("glue").delete_table(
            **chosen(old, "DatabaseName"), Name=physical_id
        )


def _check_catalog(place: Place, new: Properties) -> None:
    own, catalog = place.aws.account_id, new.get("CatalogId")
    if catalog != own:
        raise ResourceError(
            f"CatalogId must be {own}, the local account's own catalogue, got {catalog}"
        )


def _check_name(physical_id: str, name: str) -> None:
    if name != physical_id:
        raise ResourceError(
            f"local AWS does not rename {physical_id} to {name}: "
            "delete it and make another one"
        )
