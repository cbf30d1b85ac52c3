"""Every resource type: made, changed, replaced and deleted, and read back each time.

A type is here with all properties that it honours, or the tests fail.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.local import LocalAws
from cdk_personalize_segments.local.api import SERVICES
from cdk_personalize_segments.local.resources import TYPES
from cdk_personalize_segments.local.resources.base import is_gone

Properties = dict[str, Any]
Read = Callable[[LocalAws, str, Properties], Any]

ACCOUNT, REGION = "123456789012", "us-east-1"
TAGS = [{"Key": "team", "Value": "growth"}, {"Key": "stage", "Value": "test"}]
MORE_TAGS = [{"Key": "team", "Value": "sales"}]
NAME = "matrix"


PROVIDER = """
import json
from urllib.request import Request, urlopen

def handler(event, context):
    answer = {"Status": "SUCCESS", "PhysicalResourceId": "made"}
    body = json.dumps(answer).encode()
    urlopen(Request(event["ResponseURL"], body, method="PUT"))
"""


def trust(service: str) -> Properties:
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": f"{service}.amazonaws.com"},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def policy(action: str, **more: Any) -> Properties:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*", **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


@dataclass(frozen=True)
class Case:
    """What a resource is given, one after the other, and how it is read back.

    Attributes:
        first: What it is made with.
        read: Gives its properties as its service's API shows them, in
            CloudFormation's form.
        second: What it is changed to in place, or None if every change replaces it.
        third: What replaces it, or None if nothing does.
        hidden: Properties that the API shows in no or in another form.
    """

    first: Properties
    read: Read | None
    second: Properties | None = None
    third: Properties | None = None
    hidden: frozenset[str] = frozenset()


# --- How each type is read back ---


def capitalised(value: Any) -> Any:
    """Spell the keys of an API's answer with a large first letter."""
    if isinstance(value, Mapping):
        return {
            key[0].upper() + key[1:]: capitalised(each) for key, each in value.items()
        }
    if isinstance(value, list):
        return [capitalised(each) for each in value]
    return value


def only(found: Mapping[str, Any], given: Properties) -> Properties:
    """Leave out what the resource was not given."""
    return {name: value for name, value in found.items() if name in given}


def tags(found: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in found.items()]


def read_bucket(aws: LocalAws, bucket: str, given: Properties) -> Properties:
    s3 = aws.client("s3")
    encryption = s3.get_bucket_encryption(Bucket=bucket)
    (rule,) = encryption["ServerSideEncryptionConfiguration"]["Rules"]
    rule["ServerSideEncryptionByDefault"] = rule.pop(
        "ApplyServerSideEncryptionByDefault"
    )
    cors = s3.get_bucket_cors(Bucket=bucket)["CORSRules"]
    names = {"ExposeHeaders": "ExposedHeaders", "ID": "Id", "MaxAgeSeconds": "MaxAge"}
    grants = s3.get_bucket_acl(Bucket=bucket)["Grants"]
    public = [each for each in grants if "AllUsers" in each["Grantee"].get("URI", "")]
    return {
        "AccessControl": "PublicRead" if public else "Private",
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [rule]},
        "BucketName": bucket,
        "CorsConfiguration": {
            "CorsRules": [
                {names.get(name, name): value for name, value in each.items()}
                for each in cors
            ]
        },
        "LifecycleConfiguration": {
            "Rules": [
                lifecycle_rule(each)
                for each in s3.get_bucket_lifecycle_configuration(Bucket=bucket)[
                    "Rules"
                ]
            ]
        },
        "OwnershipControls": s3.get_bucket_ownership_controls(Bucket=bucket)[
            "OwnershipControls"
        ],
        "PublicAccessBlockConfiguration": s3.get_public_access_block(Bucket=bucket)[
            "PublicAccessBlockConfiguration"
        ],
        "Tags": s3.get_bucket_tagging(Bucket=bucket)["TagSet"],
        "VersioningConfiguration": only(
            s3.get_bucket_versioning(Bucket=bucket), {"Status": None}
        ),
    }


def lifecycle_rule(found: Properties) -> Properties:
    filtered = found["Filter"].get("And", found["Filter"])
    rule = {"Id": found["ID"], "Status": found["Status"]}
    if filtered.get("Prefix"):
        rule["Prefix"] = filtered["Prefix"]
    wanted = filtered.get("Tags") or [filtered[key] for key in filtered if key == "Tag"]
    if wanted:
        rule["TagFilters"] = wanted
    expiration = found.get("Expiration", {})
    if "Days" in expiration:
        rule["ExpirationInDays"] = expiration["Days"]
    if "Date" in expiration:
        rule["ExpirationDate"] = f"{expiration['Date']:%Y-%m-%dT%H:%M:%SZ}"
    if "ExpiredObjectDeleteMarker" in expiration:
        rule["ExpiredObjectDeleteMarker"] = expiration["ExpiredObjectDeleteMarker"]
    for name in ("AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration"):
        if name in found:
            rule[name] = found[name]
    if "Transitions" in found:
        rule["Transitions"] = [
            {
                "StorageClass": each["StorageClass"],
                **(
                    {"TransitionInDays": each["Days"]}
                    if "Days" in each
                    else {"TransitionDate": f"{each['Date']:%Y-%m-%dT%H:%M:%SZ}"}
                ),
            }
            for each in found["Transitions"]
        ]
    if "NoncurrentVersionTransitions" in found:
        rule["NoncurrentVersionTransitions"] = [
            {
                ("TransitionInDays" if name == "NoncurrentDays" else name): value
                for name, value in each.items()
            }
            for each in found["NoncurrentVersionTransitions"]
        ]
    return rule


def read_bucket_policy(aws: LocalAws, bucket: str, given: Properties) -> Properties:
    text = aws.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]
    return {"Bucket": bucket, "PolicyDocument": json.loads(text)}


def read_key(aws: LocalAws, key: str, given: Properties) -> Properties | None:
    kms = aws.client("kms")
    described = kms.describe_key(KeyId=key)["KeyMetadata"]
    if described["KeyState"] == "PendingDeletion":
        wait = described["DeletionDate"] - aws.clock.now()
        assert round(wait.total_seconds() / 86400) == given["PendingWindowInDays"]
        return None
    rotation = kms.get_key_rotation_status(KeyId=key)
    policy_text = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    return only(
        {
            **described,
            "EnableKeyRotation": rotation["KeyRotationEnabled"],
            "KeyPolicy": json.loads(policy_text),
            # Not shown while there is no rotation.
            "RotationPeriodInDays": rotation.get("RotationPeriodInDays")
            if rotation["KeyRotationEnabled"]
            else given["RotationPeriodInDays"],
            "Tags": [
                {"Key": tag["TagKey"], "Value": tag["TagValue"]}
                for tag in kms.list_resource_tags(KeyId=key)["Tags"]
            ],
        },
        given,
    )


def read_key_alias(aws: LocalAws, name: str, given: Properties) -> Properties | None:
    aliases = aws.client("kms").list_aliases(KeyId=given["TargetKeyId"])["Aliases"]
    found = [only(each, given) for each in aliases if each["AliasName"] == name]
    return found[0] if found else None


def read_log_group(aws: LocalAws, name: str, given: Properties) -> Properties | None:
    logs = aws.client("logs")
    for group in logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]:
        if group["logGroupName"] == name:
            found = logs.list_tags_for_resource(resourceArn=group["logGroupArn"])
            return only({**capitalised(group), "Tags": tags(found["tags"])}, given)
    return None


def read_metric_filter(
    aws: LocalAws, name: str, given: Properties
) -> Properties | None:
    filters = aws.client("logs").describe_metric_filters(
        logGroupName=given["LogGroupName"], filterNamePrefix=name
    )["metricFilters"]
    for each in filters:
        if each["filterName"] == name:
            for transformation in each["metricTransformations"]:
                transformation["Dimensions"] = tags(transformation.pop("dimensions"))
            return only(capitalised(each), given)
    return None


def read_query_definition(
    aws: LocalAws, definition_id: str, given: Properties
) -> Properties | None:
    found = aws.client("logs").describe_query_definitions()["queryDefinitions"]
    for each in found:
        if each["queryDefinitionId"] == definition_id:
            return only(capitalised(each), given)
    return None


def read_alarm(aws: LocalAws, name: str, given: Properties) -> Properties | None:
    client = aws.client("cloudwatch")
    answer = client.describe_alarms(
        AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    found = [*answer["MetricAlarms"], *answer["CompositeAlarms"]]
    if not found:
        return None
    assert found[0]["StateValue"] == "INSUFFICIENT_DATA"
    labels = client.list_tags_for_resource(ResourceARN=found[0]["AlarmArn"])["Tags"]
    return only({**found[0], "Tags": labels}, given)


def read_dashboard(aws: LocalAws, name: str, given: Properties) -> Properties:
    return only(aws.client("cloudwatch").get_dashboard(DashboardName=name), given)


def read_parameter(aws: LocalAws, name: str, given: Properties) -> Properties | None:
    ssm = aws.client("ssm")
    name_filter = {"Key": "Name", "Values": [name]}
    found = ssm.describe_parameters(ParameterFilters=[name_filter])["Parameters"]
    if not found:
        return None
    labels = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)
    value = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    return only(
        {
            **found[0],
            "Tags": {tag["Key"]: tag["Value"] for tag in labels["TagList"]},
            "Value": value,
        },
        given,
    )


def read_repository(aws: LocalAws, name: str, given: Properties) -> Properties:
    ecr = aws.client("ecr")
    (found,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    lifecycle = ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
    access = ecr.get_repository_policy(repositoryName=name)["policyText"]
    return only(
        {
            **capitalised(found),
            "LifecyclePolicy": {"LifecyclePolicyText": lifecycle},
            "RepositoryPolicyText": json.loads(access),
        },
        given,
    )


def read_database(aws: LocalAws, name: str, given: Properties) -> Properties:
    found = aws.client("glue").get_database(Name=name)["Database"]
    return {
        "CatalogId": found["CatalogId"],
        "DatabaseInput": only(found, given["DatabaseInput"]),
        "DatabaseName": found["Name"],
    }


def read_table(aws: LocalAws, name: str, given: Properties) -> Properties:
    database = given["DatabaseName"]
    found = aws.client("glue").get_table(DatabaseName=database, Name=name)["Table"]
    return {
        "CatalogId": found["CatalogId"],
        "DatabaseName": found["DatabaseName"],
        "TableInput": only(found, given["TableInput"]),
    }


def read_role(aws: LocalAws, name: str, given: Properties) -> Properties:
    iam = aws.client("iam")
    role = iam.get_role(RoleName=name)["Role"]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return only(
        {
            **role,
            "ManagedPolicyArns": [each["PolicyArn"] for each in attached],
            "PermissionsBoundary": boundary,
            "Policies": [
                only(
                    iam.get_role_policy(RoleName=name, PolicyName=each),
                    {"PolicyName": None, "PolicyDocument": None},
                )
                for each in iam.list_role_policies(RoleName=name)["PolicyNames"]
            ],
        },
        given,
    )


def read_policy(aws: LocalAws, physical_id: str, given: Properties) -> Properties:
    iam = aws.client("iam")
    name = given["PolicyName"]
    found = [
        iam.get_role_policy(RoleName=role, PolicyName=name) for role in given["Roles"]
    ]
    return {
        "PolicyName": name,
        "PolicyDocument": found[0]["PolicyDocument"],
        "Roles": [each["RoleName"] for each in found],
    }


def read_managed_policy(aws: LocalAws, own: str, given: Properties) -> Properties:
    iam = aws.client("iam")
    found = iam.get_policy(PolicyArn=own)["Policy"]
    version = iam.get_policy_version(
        PolicyArn=own, VersionId=found["DefaultVersionId"]
    )["PolicyVersion"]
    users = iam.list_entities_for_policy(PolicyArn=own)["PolicyRoles"]
    return {
        "Description": found["Description"],
        "ManagedPolicyName": found["PolicyName"],
        "Path": found["Path"],
        "PolicyDocument": version["Document"],
        "Roles": [each["RoleName"] for each in users],
    }


def read_function(aws: LocalAws, name: str, given: Properties) -> Properties:
    found = aws.client("lambda").get_function(FunctionName=name)
    return only(
        {**found["Configuration"], "Tags": tags(found.get("Tags", {}))},
        given,
    )


def read_version(aws: LocalAws, own: str, given: Properties) -> Properties:
    function, _, number = own.rpartition(":")
    found = aws.client("lambda").get_function_configuration(
        FunctionName=function, Qualifier=number
    )
    return only(found, given)


def read_function_alias(aws: LocalAws, own: str, given: Properties) -> Properties:
    found = aws.client("lambda").get_alias(
        FunctionName=given["FunctionName"], Name=given["Name"]
    )
    assert found["AliasArn"] == own
    return only({**found, "FunctionName": given["FunctionName"]}, given)


def read_permission(aws: LocalAws, own: str, given: Properties) -> Properties | None:
    text = aws.client("lambda").get_policy(FunctionName=given["FunctionName"])["Policy"]
    for statement in json.loads(text)["Statement"]:
        if statement["Sid"] == own:
            condition = statement["Condition"]
            return {
                "Action": statement["Action"],
                "FunctionName": statement["Resource"].rpartition(":")[2],
                "Principal": statement["Principal"]["Service"],
                "SourceAccount": condition["StringEquals"]["AWS:SourceAccount"],
                "SourceArn": condition["ArnLike"]["AWS:SourceArn"],
            }
    return None


def read_state_machine(aws: LocalAws, own: str, given: Properties) -> Properties:
    states = aws.client("stepfunctions")
    found = states.describe_state_machine(stateMachineArn=own)
    definition = json.loads(found["definition"])
    assert definition["Comment"] == "It ends"
    labels = states.list_tags_for_resource(resourceArn=own)["tags"]
    return only(
        {
            **capitalised(found),
            "StateMachineName": found["name"],
            "StateMachineType": found["type"],
            "Tags": capitalised(labels),
        },
        given,
    )


def read_filter(aws: LocalAws, own: str, given: Properties) -> Properties:
    found = aws.client("personalize").describe_filter(filterArn=own)["filter"]
    return only(capitalised(found), given)


# --- What each type is given ---


@dataclass(frozen=True)
class Around:
    """What the resources refer to."""

    role: str
    function: str
    key: str
    other_key: str
    bucket: str
    dataset_group: str
    provider: str


def bucket_cases(around: Around) -> dict[str, Case]:
    rule = {
        "Id": "All",
        "Status": "Enabled",
        "Prefix": "input/",
        "TagFilters": TAGS,
        "ExpirationInDays": 400,
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
        "NoncurrentVersionTransitions": [
            {
                "NewerNoncurrentVersions": 2,
                "StorageClass": "GLACIER",
                "TransitionInDays": 10,
            }
        ],
        "Transitions": [
            {"StorageClass": "STANDARD_IA", "TransitionInDays": 30},
            {"StorageClass": "GLACIER", "TransitionInDays": 90},
        ],
    }
    dated = {
        "Id": "Dated",
        "Status": "Disabled",
        "TagFilters": TAGS[:1],
        "ExpirationDate": "2031-01-01T00:00:00Z",
        "Transitions": [
            {"StorageClass": "GLACIER", "TransitionDate": "2030-01-01T00:00:00Z"}
        ],
    }
    rest = [
        {"Id": "Markers", "Status": "Enabled", "ExpiredObjectDeleteMarker": True},
        {
            "Id": "Uploads",
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    ]
    first = {
        "AccessControl": "PublicRead",
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {
                    "BucketKeyEnabled": True,
                    "ServerSideEncryptionByDefault": {
                        "KMSMasterKeyID": around.key,
                        "SSEAlgorithm": "aws:kms",
                    },
                }
            ]
        },
        "BucketName": NAME,
        "CorsConfiguration": {
            "CorsRules": [
                {
                    "AllowedHeaders": ["*"],
                    "AllowedMethods": ["GET", "PUT"],
                    "AllowedOrigins": ["https://example.com"],
                    "ExposedHeaders": ["ETag"],
                    "Id": "Site",
                    "MaxAge": 60,
                }
            ]
        },
        "LifecycleConfiguration": {"Rules": [rule, dated, *rest]},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]},
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": False,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": False,
            "RestrictPublicBuckets": True,
        },
        "Tags": TAGS,
        "VersioningConfiguration": {"Status": "Enabled"},
    }
    second = {
        **first,
        "AccessControl": "Private",
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {
                    "BucketKeyEnabled": False,
                    "ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
                }
            ]
        },
        "CorsConfiguration": {
            "CorsRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]
        },
        "LifecycleConfiguration": {"Rules": rest},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]},
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "Tags": MORE_TAGS,
        "VersioningConfiguration": {"Status": "Suspended"},
    }
    document = policy("s3:GetObject", Principal="*")
    other = policy("s3:PutObject", Principal="*")
    return {
        "AWS::S3::Bucket": Case(
            first, read_bucket, second, {**second, "BucketName": f"{NAME}-2"}
        ),
        "AWS::S3::BucketPolicy": Case(
            {"Bucket": around.bucket, "PolicyDocument": document},
            read_bucket_policy,
            {"Bucket": around.bucket, "PolicyDocument": other},
            {"Bucket": f"{around.bucket}-2", "PolicyDocument": other},
        ),
    }


def key_cases(around: Around) -> dict[str, Case]:
    key = {
        "Description": "Of segments",
        "EnableKeyRotation": True,
        "Enabled": True,
        "KeyPolicy": policy("kms:*", Principal="*"),
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "PendingWindowInDays": 30,
        "RotationPeriodInDays": 180,
        "Tags": TAGS,
    }
    first, second = (each.rpartition("/")[2] for each in (around.key, around.other_key))
    alias = {"AliasName": f"alias/{NAME}", "TargetKeyId": first}
    moved = {**alias, "TargetKeyId": second}
    return {
        "AWS::KMS::Key": Case(
            key,
            read_key,
            {
                **key,
                "Description": "Of users",
                "EnableKeyRotation": False,
                "Enabled": False,
                "KeyPolicy": policy("kms:Encrypt", Principal="*"),
                "PendingWindowInDays": 7,
                "RotationPeriodInDays": 90,
                "Tags": MORE_TAGS,
            },
            hidden=frozenset({"PendingWindowInDays"}),
        ),
        "AWS::KMS::Alias": Case(
            alias, read_key_alias, moved, {**moved, "AliasName": f"alias/{NAME}-2"}
        ),
    }


def log_cases(around: Around) -> dict[str, Case]:
    group = {
        "DeletionProtectionEnabled": True,
        "KmsKeyId": around.key,
        "LogGroupClass": "INFREQUENT_ACCESS",
        "LogGroupName": f"{NAME}/group",
        "RetentionInDays": 30,
        "Tags": TAGS,
    }
    changed_group = {
        **group,
        "DeletionProtectionEnabled": False,
        "KmsKeyId": around.other_key,
        "RetentionInDays": 7,
        "Tags": MORE_TAGS,
    }
    transformation = {
        "Dimensions": [{"Key": "Segment", "Value": "$.segment"}],
        "MetricName": "Failures",
        "MetricNamespace": "Segments",
        "MetricValue": "1",
        "Unit": "Count",
    }
    metric_filter = {
        "FilterName": NAME,
        "FilterPattern": "{ $.level = ERROR }",
        "LogGroupName": NAME,
        "MetricTransformations": [transformation],
    }
    changed_filter = {
        **metric_filter,
        "FilterPattern": "ERROR",
        "MetricTransformations": [
            {**transformation, "DefaultValue": 0.0, "Dimensions": []}
        ],
    }
    query = {
        "LogGroupNames": [NAME],
        "Name": NAME,
        "Parameters": [
            {"DefaultValue": "a", "Description": "The segment", "Name": "segment"}
        ],
        "QueryLanguage": "CWLI",
        "QueryString": "fields @message",
    }
    return {
        "AWS::Logs::LogGroup": Case(
            group,
            read_log_group,
            changed_group,
            {**changed_group, "LogGroupName": f"{NAME}/group-2"},
        ),
        "AWS::Logs::MetricFilter": Case(
            metric_filter,
            read_metric_filter,
            changed_filter,
            {**changed_filter, "FilterName": f"{NAME}-2"},
        ),
        "AWS::Logs::QueryDefinition": Case(
            query,
            read_query_definition,
            {"Name": f"{NAME}/2", "QueryString": "fields @timestamp"},
        ),
    }


def monitoring_cases(around: Around) -> dict[str, Case]:
    actions = {
        "ActionsEnabled": False,
        "AlarmActions": [arn("sns", "alarm")],
        "AlarmDescription": "Too many",
        "InsufficientDataActions": [arn("sns", "unknown")],
        "OKActions": [arn("sns", "fine")],
        "Tags": TAGS,
    }
    alarm = {
        **actions,
        "AlarmName": NAME,
        "ComparisonOperator": "GreaterThanThreshold",
        "DatapointsToAlarm": 2,
        "Dimensions": [{"Name": "FunctionName", "Value": "prepare"}],
        "EvaluateLowSampleCountPercentile": "ignore",
        "EvaluationPeriods": 3,
        "ExtendedStatistic": "p90",
        "MetricName": "Duration",
        "Namespace": "AWS/Lambda",
        "Period": 60,
        "Threshold": 10.0,
        "TreatMissingData": "notBreaching",
        "Unit": "Seconds",
    }
    simpler = {
        "AlarmName": NAME,
        "ComparisonOperator": "LessThanThreshold",
        "EvaluationPeriods": 1,
        "MetricName": "Errors",
        "Namespace": "AWS/Lambda",
        "Period": 300,
        "Statistic": "Sum",
        "Tags": MORE_TAGS,
        "Threshold": 1.0,
    }
    maths = {
        "AlarmName": f"{NAME}-2",
        "ComparisonOperator": "GreaterThanUpperThreshold",
        "EvaluationPeriods": 1,
        "Metrics": [
            {
                "Expression": "ANOMALY_DETECTION_BAND(m1, 2)",
                "Id": "band",
                "Label": "Expected",
                "Period": 60,
                "ReturnData": True,
            },
            {
                "Id": "m1",
                "MetricStat": {
                    "Metric": {
                        "Dimensions": [{"Name": "QueueName", "Value": "wait"}],
                        "MetricName": "Age",
                        "Namespace": "AWS/SQS",
                    },
                    "Period": 60,
                    "Stat": "Maximum",
                    "Unit": "Seconds",
                },
                "ReturnData": True,
            },
        ],
        "ThresholdMetricId": "band",
    }
    composite = {
        **actions,
        "ActionsSuppressor": "maintenance",
        "ActionsSuppressorExtensionPeriod": 60,
        "ActionsSuppressorWaitPeriod": 120,
        "AlarmName": f"{NAME}-composite",
        "AlarmRule": f"ALARM({NAME})",
    }
    plain = {
        "AlarmName": f"{NAME}-composite",
        "AlarmRule": f"NOT OK({NAME})",
        "Tags": MORE_TAGS,
    }

    def dashboard(name: str, text: str) -> Properties:
        widget = {"type": "text", "properties": {"markdown": text}}
        return {
            "DashboardBody": json.dumps({"widgets": [widget]}),
            "DashboardName": name,
        }

    return {
        "AWS::CloudWatch::Alarm": Case(alarm, read_alarm, simpler, maths),
        "AWS::CloudWatch::CompositeAlarm": Case(
            composite, read_alarm, plain, {**plain, "AlarmName": f"{NAME}-composite-2"}
        ),
        "AWS::CloudWatch::Dashboard": Case(
            dashboard(NAME, "one"),
            read_dashboard,
            dashboard(NAME, "two"),
            dashboard(f"{NAME}-2", "two"),
        ),
    }


def role_cases(around: Around) -> dict[str, Case]:
    managed = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    other = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    role = {
        "AssumeRolePolicyDocument": trust("lambda"),
        "Description": "Does a task",
        "ManagedPolicyArns": [managed],
        "MaxSessionDuration": 7200,
        "Path": "/segments/",
        "PermissionsBoundary": other,
        "Policies": [{"PolicyName": "Read", "PolicyDocument": policy("s3:GetObject")}],
        "RoleName": NAME,
        "Tags": TAGS,
    }
    changed = {
        **role,
        "AssumeRolePolicyDocument": trust("states"),
        "Description": "Does another task",
        "ManagedPolicyArns": [other],
        "MaxSessionDuration": 3600,
        "PermissionsBoundary": managed,
        "Policies": [{"PolicyName": "Write", "PolicyDocument": policy("s3:Put*")}],
        "Tags": MORE_TAGS,
    }
    inline = {
        "PolicyDocument": policy("s3:GetObject"),
        "PolicyName": NAME,
        "Roles": [around.role],
    }
    changed_inline = {**inline, "PolicyDocument": policy("s3:PutObject")}
    own = {
        "Description": "Reads",
        "ManagedPolicyName": NAME,
        "Path": "/segments/",
        "PolicyDocument": policy("s3:GetObject"),
        "Roles": [around.role],
    }
    changed_own = {**own, "PolicyDocument": policy("s3:PutObject"), "Roles": []}
    return {
        "AWS::IAM::Role": Case(
            role, read_role, changed, {**changed, "RoleName": f"{NAME}-2"}
        ),
        "AWS::IAM::Policy": Case(
            inline,
            read_policy,
            changed_inline,
            {**changed_inline, "PolicyName": f"{NAME}-2"},
        ),
        "AWS::IAM::ManagedPolicy": Case(
            own,
            read_managed_policy,
            changed_own,
            {**changed_own, "ManagedPolicyName": f"{NAME}-2"},
        ),
    }


def function_cases(around: Around) -> dict[str, Case]:
    function = {
        "Architectures": ["arm64"],
        "Code": {
            "S3Bucket": around.bucket,
            "S3Key": "code.zip",
            "S3ObjectVersion": "null",
        },
        "Description": "Prepares",
        "Environment": {"Variables": {"BUCKET": "data"}},
        "EphemeralStorage": {"Size": 1024},
        "FunctionName": NAME,
        "Handler": "index.handler",
        "LoggingConfig": {
            "ApplicationLogLevel": "WARN",
            "LogFormat": "JSON",
            "LogGroup": NAME,
            "SystemLogLevel": "DEBUG",
        },
        "MemorySize": 512,
        "PackageType": "Zip",
        "Role": f"arn:aws:iam::{ACCOUNT}:role/{around.role}",
        "Runtime": "python3.13",
        "Tags": TAGS,
        "Timeout": 60,
        "TracingConfig": {"Mode": "Active"},
    }
    changed = {
        **function,
        "Architectures": ["x86_64"],
        "Code": {"ZipFile": "def other(event, context):\n    return 2\n"},
        "Description": "Collects",
        "Environment": {"Variables": {"TABLE": "data"}},
        "EphemeralStorage": {"Size": 512},
        "Handler": "index.other",
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": NAME},
        "MemorySize": 256,
        "Runtime": "python3.14",
        "Tags": MORE_TAGS,
        "Timeout": 30,
        "TracingConfig": {"Mode": "PassThrough"},
    }
    alias = {
        "Description": "The live one",
        "FunctionName": around.function,
        "FunctionVersion": "$LATEST",
        "Name": "live",
    }
    moved = {**alias, "Description": "The tried one", "FunctionVersion": "1"}
    permission = {
        "Action": "lambda:InvokeFunction",
        "FunctionName": around.function,
        "Principal": "events.amazonaws.com",
        "SourceAccount": ACCOUNT,
        "SourceArn": arn("events", "rule/nightly"),
    }
    other = f"{around.function}-2"
    return {
        "AWS::Lambda::Function": Case(
            function,
            read_function,
            changed,
            {**changed, "FunctionName": f"{NAME}-2"},
            hidden=frozenset({"Code"}),
        ),
        "AWS::Lambda::Version": Case(
            {"Description": "First", "FunctionName": around.function},
            read_version,
            third={"Description": "Other", "FunctionName": other},
        ),
        "AWS::Lambda::Alias": Case(
            alias, read_function_alias, moved, {**moved, "Name": "tried"}
        ),
        "AWS::Lambda::Permission": Case(
            permission,
            read_permission,
            third={**permission, "Principal": "scheduler.amazonaws.com"},
        ),
    }


def state_machine_cases(around: Around) -> dict[str, Case]:
    role = f"arn:aws:iam::{ACCOUNT}:role/{around.role}"
    definition = {
        "QueryLanguage": "JSONata",
        "Comment": "${What} ends",
        "StartAt": "End",
        "States": {"End": {"Type": "Succeed"}},
    }
    machine = {
        "DefinitionString": json.dumps(definition),
        "DefinitionSubstitutions": {"What": "It"},
        "LoggingConfiguration": {
            "Destinations": [
                {
                    "CloudWatchLogsLogGroup": {
                        "LogGroupArn": arn("logs", f"log-group:{NAME}:*")
                    }
                }
            ],
            "IncludeExecutionData": True,
            "Level": "ERROR",
        },
        "RoleArn": role,
        "StateMachineName": NAME,
        "StateMachineType": "STANDARD",
        "Tags": TAGS,
        "TracingConfiguration": {"Enabled": True},
    }
    changed = {
        "Definition": {**definition, "Comment": "It ends"},
        "RoleArn": f"{role}-2",
        "StateMachineName": NAME,
        "StateMachineType": "STANDARD",
        "Tags": MORE_TAGS,
        "TracingConfiguration": {"Enabled": False},
    }
    replaced = {
        "DefinitionS3Location": {
            "Bucket": around.bucket,
            "Key": "machine.json",
            "Version": "null",
        },
        "RoleArn": role,
        "StateMachineName": f"{NAME}-2",
    }
    return {
        "AWS::StepFunctions::StateMachine": Case(
            machine,
            read_state_machine,
            changed,
            replaced,
            hidden=frozenset(
                {
                    "Definition",
                    "DefinitionS3Location",
                    "DefinitionString",
                    "DefinitionSubstitutions",
                }
            ),
        )
    }


def catalogue_cases(around: Around) -> dict[str, Case]:
    database = {
        "CatalogId": ACCOUNT,
        "DatabaseInput": {
            "Description": "Results",
            "LocationUri": "s3://data/",
            "Name": NAME,
            "Parameters": {"kind": "segments"},
        },
        "DatabaseName": NAME,
    }
    changed_database = {
        **database,
        "DatabaseInput": {**database["DatabaseInput"], "Description": "Others"},
    }
    column = {"Comment": "Who", "Name": "user", "Type": "string"}
    table = {
        "CatalogId": ACCOUNT,
        "DatabaseName": f"{NAME}_around",
        "TableInput": {
            "Description": "Users",
            "Name": NAME,
            "Owner": "growth",
            "Parameters": {"classification": "csv"},
            "PartitionKeys": [{"Comment": "Which", "Name": "run", "Type": "string"}],
            "Retention": 3,
            "StorageDescriptor": {
                "BucketColumns": ["user"],
                "Columns": [column],
                "Compressed": True,
                "InputFormat": "in",
                "Location": "s3://data/users/",
                "NumberOfBuckets": 4,
                "OutputFormat": "out",
                "Parameters": {"a": "b"},
                "SerdeInfo": {
                    "Name": "csv",
                    "Parameters": {"separatorChar": ","},
                    "SerializationLibrary": "OpenCSVSerde",
                },
                "SortColumns": [{"Column": "user", "SortOrder": 1}],
                "StoredAsSubDirectories": False,
            },
            "TableType": "EXTERNAL_TABLE",
            "ViewExpandedText": "select",
            "ViewOriginalText": "select",
        },
    }
    changed_table = {
        **table,
        "TableInput": {**table["TableInput"], "Description": "People"},
    }
    return {
        "AWS::Glue::Database": Case(
            database,
            read_database,
            changed_database,
            {
                **database,
                "DatabaseInput": {"Name": f"{NAME}_2"},
                "DatabaseName": f"{NAME}_2",
            },
        ),
        "AWS::Glue::Table": Case(
            table,
            read_table,
            changed_table,
            {
                **changed_table,
                "DatabaseName": f"{NAME}_around_2",
                "TableInput": {**changed_table["TableInput"], "Name": f"{NAME}_2"},
            },
        ),
    }


def other_cases(around: Around) -> dict[str, Case]:
    parameter = {
        "AllowedPattern": "[a-z]+",
        "DataType": "text",
        "Description": "A name",
        "Name": f"/{NAME}/name",
        "Tags": {"team": "growth"},
        "Tier": "Advanced",
        "Type": "String",
        "Value": "one",
    }
    changed_parameter = {
        "Name": f"/{NAME}/name",
        "Tags": {"stage": "test"},
        "Type": "String",
        "Value": "2",
    }
    rule = {
        "rulePriority": 1,
        "selection": {
            "tagStatus": "untagged",
            "countType": "imageCountMoreThan",
            "countNumber": 5,
        },
        "action": {"type": "expire"},
    }
    repository = {
        "ImageTagMutability": "IMMUTABLE",
        "LifecyclePolicy": {"LifecyclePolicyText": json.dumps({"rules": [rule]})},
        "RepositoryName": NAME,
        "RepositoryPolicyText": policy("ecr:GetImage"),
    }
    changed_repository = {**repository, "ImageTagMutability": "MUTABLE"}
    segments = {
        "DatasetGroupArn": around.dataset_group,
        "FilterExpression": 'INCLUDE ItemID WHERE Items.GENRE IN ("Drama")',
        "Name": NAME,
    }
    return {
        "AWS::CDK::Metadata": Case({"Analytics": "v2"}, None, {"Analytics": "v3"}),
        "AWS::CloudFormation::CustomResource": Case(
            {"ServiceTimeout": "60", "ServiceToken": around.provider, "Value": "a"},
            None,
            {"ServiceTimeout": "90", "ServiceToken": around.provider, "Value": "b"},
        ),
        "AWS::CloudFormation::WaitConditionHandle": Case({}, None),
        "AWS::ECR::Repository": Case(
            repository,
            read_repository,
            changed_repository,
            {**changed_repository, "RepositoryName": f"{NAME}-2"},
        ),
        "AWS::Personalize::Filter": Case(
            segments, read_filter, third={**segments, "Name": f"{NAME}-2"}
        ),
        "AWS::SSM::Parameter": Case(
            parameter,
            read_parameter,
            changed_parameter,
            {**changed_parameter, "Name": f"/{NAME}/name-2"},
        ),
    }


# --- The tests ---


@pytest.fixture(scope="module")
def cases(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """Make what the resources refer to, and give what each type is given."""
    kms, s3, iam = aws.client("kms"), aws.client("s3"), aws.client("iam")
    keys = [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
    for bucket in (f"{NAME}-around", f"{NAME}-around-2"):
        s3.create_bucket(Bucket=bucket)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", PROVIDER)
    s3.put_object(Bucket=f"{NAME}-around", Key="code.zip", Body=code.getvalue())
    machine = {
        "QueryLanguage": "JSONata",
        "Comment": "It ends",
        "StartAt": "End",
        "States": {"End": {"Type": "Succeed"}},
    }
    s3.put_object(
        Bucket=f"{NAME}-around", Key="machine.json", Body=json.dumps(machine).encode()
    )
    role = iam.create_role(
        RoleName=f"{NAME}-around",
        AssumeRolePolicyDocument=json.dumps(trust("lambda")),
    )["Role"]
    iam.put_role_policy(
        RoleName=role["RoleName"],
        PolicyName="Logs",
        PolicyDocument=json.dumps(policy("logs:*")),
    )
    for function in (f"{NAME}-around", f"{NAME}-around-2"):
        aws.client("lambda").create_function(
            FunctionName=function,
            Code={"ZipFile": code.getvalue()},
            Handler="index.handler",
            Role=role["Arn"],
            Runtime="python3.13",
        )
    aws.client("logs").create_log_group(logGroupName=NAME)
    for database in (f"{NAME}_around", f"{NAME}_around_2"):
        aws.client("glue").create_database(DatabaseInput={"Name": database})
    personalize = aws.client("personalize")
    version = aws.personalize.seed(_data(tmp_path_factory.mktemp(NAME)), name=NAME)
    solution = personalize.describe_solution(solutionArn=version.rpartition("/")[0])[
        "solution"
    ]
    around = Around(
        role=f"{NAME}-around",
        function=f"{NAME}-around",
        key=keys[0],
        other_key=keys[1],
        bucket=f"{NAME}-around",
        dataset_group=solution["datasetGroupArn"],
        provider=arn("lambda", f"function:{NAME}-around"),
    )
    made: dict[str, Case] = {}
    for give in (
        bucket_cases,
        catalogue_cases,
        function_cases,
        key_cases,
        log_cases,
        monitoring_cases,
        other_cases,
        role_cases,
        state_machine_cases,
    ):
        made |= give(around)
    if "DeleteFilter" not in SERVICES["personalize"].ours:
        # What cannot be deleted cannot be replaced either.
        del made["AWS::Personalize::Filter"]
    return made


def _data(folder: Path) -> Path:
    """Write the smallest data to train with."""
    items = "ITEM_ID,GENRE\n1,Drama\n2,Comedy\n"
    (folder / "items.csv").write_text(items)
    interactions = "USER_ID,ITEM_ID,TIMESTAMP\na,1,1700000000\nb,2,1700000000\n"
    (folder / "interactions.csv").write_text(interactions)
    return folder


def paths(value: Any, path: str = "") -> Iterator[str]:
    """Give the paths of a value, and of all that has something below."""
    if path:
        yield path
    if isinstance(value, Mapping):
        if path:
            yield f"{path}.*"
        for key, each in value.items():
            yield from paths(each, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for each in value:
            yield from paths(each, path)


def test_every_type_is_here_with_all_it_honours(cases: dict[str, Case]) -> None:
    assert TYPES.keys() - cases.keys() <= {"AWS::Personalize::Filter"}
    for name, case in cases.items():
        given = set(paths([case.first, case.second or {}, case.third or {}]))
        assert TYPES[name].honoured - given == set(), name
        replaced = TYPES[name].replaced_on
        assert bool(replaced) == (case.third is not None), name


# The operations that make what is declared, and those that show it.
CALLED = {
    "cloudformation": """
        CreateStack DeleteStack DescribeStackEvents DescribeStackResources
        UpdateStack
    """,
    "cloudwatch": """
        DeleteAlarms DeleteDashboards DescribeAlarms GetDashboard
        ListTagsForResource PutCompositeAlarm PutDashboard PutMetricAlarm
        TagResource UntagResource
    """,
    "ecr": """
        CreateRepository DeleteRepository DescribeRepositories
        GetLifecyclePolicy GetRepositoryPolicy PutImageTagMutability
        PutLifecyclePolicy SetRepositoryPolicy
    """,
    "glue": """
        CreateDatabase CreateTable DeleteDatabase DeleteTable GetDatabase
        GetTable UpdateDatabase UpdateTable
    """,
    "iam": """
        AttachRolePolicy CreatePolicy CreatePolicyVersion CreateRole
        DeletePolicy DeletePolicyVersion DeleteRole DeleteRolePolicy
        DetachRolePolicy GetPolicy GetPolicyVersion GetRole GetRolePolicy
        ListAttachedRolePolicies ListEntitiesForPolicy ListPolicyVersions
        ListRolePolicies PutRolePermissionsBoundary PutRolePolicy TagRole
        UntagRole UpdateAssumeRolePolicy UpdateRole
    """,
    "kms": """
        CreateAlias CreateKey DeleteAlias DescribeKey DisableKey
        DisableKeyRotation EnableKey EnableKeyRotation GetKeyPolicy
        GetKeyRotationStatus ListAliases ListResourceTags PutKeyPolicy
        ScheduleKeyDeletion TagResource UntagResource UpdateAlias
        UpdateKeyDescription
    """,
    "lambda": """
        AddPermission CreateAlias CreateFunction DeleteAlias DeleteFunction
        GetAlias GetFunction GetFunctionConfiguration GetPolicy
        ListVersionsByFunction PublishVersion RemovePermission TagResource
        UntagResource UpdateAlias UpdateFunctionCode
        UpdateFunctionConfiguration
    """,
    "logs": """
        AssociateKmsKey CreateLogGroup DeleteLogGroup DeleteMetricFilter
        DeleteQueryDefinition DescribeLogGroups DescribeMetricFilters
        DescribeQueryDefinitions ListTagsForResource
        PutLogGroupDeletionProtection PutMetricFilter PutQueryDefinition
        PutRetentionPolicy TagResource UntagResource
    """,
    "s3": """
        CreateBucket DeleteBucket DeleteBucketPolicy GetBucketAcl
        GetBucketCors GetBucketEncryption GetBucketLifecycleConfiguration
        GetBucketOwnershipControls GetBucketPolicy GetBucketTagging
        GetBucketVersioning GetPublicAccessBlock PutBucketAcl PutBucketCors
        PutBucketEncryption PutBucketLifecycleConfiguration
        PutBucketOwnershipControls PutBucketPolicy PutBucketTagging
        PutBucketVersioning PutPublicAccessBlock
    """,
    "ssm": """
        AddTagsToResource DeleteParameter DescribeParameters GetParameter
        ListTagsForResource PutParameter RemoveTagsFromResource
    """,
    "stepfunctions": """
        CreateStateMachine DeleteStateMachine DescribeStateMachine
        ListTagsForResource TagResource UntagResource UpdateStateMachine
    """,
}


@pytest.mark.emulates(
    *TYPES,
    *(
        f"{service}:{operation}"
        for service, operations in CALLED.items()
        for operation in operations.split()
    ),
)
def test_every_type_is_made_changed_replaced_and_deleted(
    aws: LocalAws, cases: dict[str, Case]
) -> None:
    client = aws.client("cloudformation")
    logical = {name: name.replace(":", "") for name in cases}
    now = {name: case.first for name, case in cases.items()}

    def deploy(act: Callable[..., Any]) -> dict[str, str]:
        template = {
            "Resources": {
                logical[name]: {"Type": name, "Properties": properties}
                for name, properties in now.items()
            }
        }
        act(StackName=NAME, TemplateBody=json.dumps(template))
        events = client.describe_stack_events(StackName=NAME)["StackEvents"]
        failed = [each for each in events if each["ResourceStatus"].endswith("_FAILED")]
        assert failed == []
        found = client.describe_stack_resources(StackName=NAME)["StackResources"]
        ids = {each["ResourceType"]: each["PhysicalResourceId"] for each in found}
        wrong = {}
        for name, case in cases.items():
            shown = {
                key: value for key, value in now[name].items() if key not in case.hidden
            }
            read = case.read(aws, ids[name], now[name]) if case.read else shown
            if {key: read.get(key) for key in shown} != shown:
                wrong[name] = (read, shown)
        assert wrong == {}
        return ids

    def is_there(name: str, physical_id: str, given: Properties) -> bool:
        try:
            return cases[name].read(aws, physical_id, given) is not None  # type: ignore[misc]
        except ClientError as error:
            if is_gone(error):
                return False
            raise

    first = deploy(client.create_stack)
    now = {name: case.second or case.first for name, case in cases.items()}
    assert deploy(client.update_stack) == first

    second = dict(now)
    now = {name: case.third or now[name] for name, case in cases.items()}
    third = deploy(client.update_stack)
    for name, case in cases.items():
        assert (third[name] != first[name]) == (case.third is not None), name
        if case.third:
            assert not is_there(name, first[name], second[name]), name

    client.delete_stack(StackName=NAME)
    for name, case in cases.items():
        if case.read:
            assert not is_there(name, third[name], now[name]), name
