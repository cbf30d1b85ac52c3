"""Lambda functions, their versions and permissions."""

import io
import zipfile
from pathlib import Path
from typing import Any, Final

from cdk_personalize_segments.local.resources.base import (
    Place,
    Properties,
    ResourceError,
    ResourceType,
    changed,
    chosen,
    tag_map,
)
from cdk_personalize_segments.local.untyped import Client

_LONGEST_NAME: Final = 64
# Not imported: it is for functions.
_CFNRESPONSE: Final = Path(__file__).with_name("cfnresponse.py")
_CONFIGURATION: Final = (
    "Description",
    "Environment",
    "EphemeralStorage",
    "Handler",
    "LoggingConfig",
    "MemorySize",
    "Role",
    "Runtime",
    "Timeout",
    "TracingConfig",
)
# What a setting is when a template no longer has it, as CreateFunction has it.
_DEFAULTS: Final[dict[str, Any]] = {
    "Description": "",
    "Environment": {"Variables": {}},
    "EphemeralStorage": {"Size": 512},
    "LoggingConfig": {"LogFormat": "Text"},
    "MemorySize": 128,
    "Timeout": 3,
    "TracingConfig": {"Mode": "PassThrough"},
}


class Function(ResourceType):
    """AWS::Lambda::Function, in Python."""

    type = "AWS::Lambda::Function"
    kept = "`Architectures`, `EphemeralStorage` and `TracingConfig`"
    honoured = frozenset(
        {
            "Architectures",
            "Code.S3Bucket",
            "Code.S3Key",
            "Code.S3ObjectVersion",
            "Code.ZipFile",
            "Description",
            "Environment.Variables.*",
            "EphemeralStorage.Size",
            "FunctionName",
            "Handler",
            "LoggingConfig.ApplicationLogLevel",
            "LoggingConfig.LogFormat",
            "LoggingConfig.LogGroup",
            "LoggingConfig.SystemLogLevel",
            "MemorySize",
            "PackageType",
            "Role",
            "Runtime",
            "Tags.Key",
            "Tags.Value",
            "Timeout",
            "TracingConfig.Mode",
        }
    )
    replaced_on = frozenset({"FunctionName", "PackageType"})
    stack_tags = True

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the function."""
        _check_runnable(new)
        name = new.get("FunctionName") or place.new_name(logical_id, _LONGEST_NAME)
        place.client("lambda").create_function(
            FunctionName=name,
            Code=_code(new),
            Tags=tag_map(new),
            **chosen(new, "Architectures", *_CONFIGURATION),
        )
        return str(name)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Change code, configuration and tags."""
        _check_runnable(new)
        client = place.client("lambda")
        differing = changed(old, new)
        if differing & {"Architectures", "Code"}:
            client.update_function_code(
                FunctionName=physical_id,
                Architectures=new.get("Architectures", ["x86_64"]),
                **_code(new),
            )
        settings = differing & set(_CONFIGURATION)
        if settings:
            client.update_function_configuration(
                FunctionName=physical_id,
                **{name: new.get(name, _DEFAULTS.get(name)) for name in settings},
            )
        if "Tags" in differing:
            arn = place.arn("lambda", f"function:{physical_id}")
            if tag_map(old):
                client.untag_resource(Resource=arn, TagKeys=list(tag_map(old)))
            if tag_map(new):
                client.tag_resource(Resource=arn, Tags=tag_map(new))

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the function with all its versions."""
        place.client("lambda").delete_function(FunctionName=physical_id)

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give the ARN."""
        return {"Arn": place.arn("lambda", f"function:{physical_id}")}


class Version(ResourceType):
    """AWS::Lambda::Version."""

    type = "AWS::Lambda::Version"
    honoured = frozenset({"Description", "FunctionName"})
    replaced_on = honoured

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Publish a version, of a function that has changed since the newest one."""
        client = place.client("lambda")
        newest = _newest_version(client, new["FunctionName"])
        published = client.publish_version(**new)
        if published["Version"] == newest:
            raise ResourceError(
                f"A version for this Lambda function exists ( {newest} ). Modify the "
                "function to create a new version."
            )
        return str(published["FunctionArn"])

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the version."""
        place.client("lambda").delete_function(
            FunctionName=physical_id.rpartition(":")[0],
            Qualifier=physical_id.rpartition(":")[2],
        )

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give the ARN and the number."""
        return {
            "FunctionArn": physical_id,
            "Version": physical_id.rpartition(":")[2],
        }


class Alias(ResourceType):
    """AWS::Lambda::Alias, of one version."""

    type = "AWS::Lambda::Alias"
    honoured = frozenset({"Description", "FunctionName", "FunctionVersion", "Name"})
    replaced_on = frozenset({"FunctionName", "Name"})

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the alias."""
        return str(place.client("lambda").create_alias(**new)["AliasArn"])

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Let the alias stand for another version."""
        place.client("lambda").update_alias(**{"Description": "", **new})

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the alias."""
        place.client("lambda").delete_alias(**chosen(old, "FunctionName", "Name"))

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give the ARN."""
        return {"AliasArn": physical_id}


class Permission(ResourceType):
    """AWS::Lambda::Permission."""

    type = "AWS::Lambda::Permission"
    honoured = frozenset(
        {"Action", "FunctionName", "Principal", "SourceAccount", "SourceArn"}
    )
    replaced_on = honoured

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Add a statement to the function's policy."""
        statement_id = place.new_name(logical_id, 100)
        place.client("lambda").add_permission(
            StatementId=statement_id,
            **chosen(
                new,
                "Action",
                "FunctionName",
                "Principal",
                "SourceAccount",
                "SourceArn",
            ),
        )
        return statement_id

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Remove the statement."""
        place.client("lambda").remove_permission(
            FunctionName=old["FunctionName"], StatementId=physical_id
        )


def _check_runnable(new: Properties) -> None:
    runtime = new.get("Runtime", "")
    if new.get("PackageType", "Zip") != "Zip" or not runtime.startswith("python"):
        raise ResourceError(
            "local AWS runs functions from zips in Python only, not "
            f"{runtime or new.get('PackageType')}; what CDK itself makes for "
            "auto_delete_objects, AwsCustomResource and Provider is in Node.js"
        )


def _code(properties: Properties) -> dict[str, Any]:
    code = dict(properties["Code"])
    if "ZipFile" in code:
        # Inline source, which Lambda takes as the module `index`.
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(zipfile.ZipInfo("index.py"), code["ZipFile"])
            if "cfnresponse" in code["ZipFile"]:
                archive.writestr(
                    zipfile.ZipInfo("cfnresponse.py"), _CFNRESPONSE.read_text()
                )
        code["ZipFile"] = buffer.getvalue()
    return code


def _newest_version(client: Client, function: str) -> str | None:
    published = [
        version["Version"]
        for page in client.get_paginator("list_versions_by_function").paginate(
            FunctionName=function
        )
        for version in page["Versions"]
        if version["Version"] != "$LATEST"
    ]
    return max(published, key=int, default=None)
