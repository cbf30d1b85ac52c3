"""What each type of resource is made with, changed to and replaced by."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cdk_personalize_segments.local import LocalAws

from .resource_readers import (
    Properties,
    read_alarm,
    read_bucket,
    read_bucket_policy,
    read_dashboard,
    read_database,
    read_event_bus,
    read_filter,
    read_function,
    read_function_alias,
    read_key,
    read_key_alias,
    read_log_group,
    read_managed_policy,
    read_mapping,
    read_metric_filter,
    read_parameter,
    read_permission,
    read_policy,
    read_query_definition,
    read_queue,
    read_queue_policy,
    read_repository,
    read_role,
    read_rule,
    read_schedule,
    read_schedule_group,
    read_state_machine,
    read_subscription,
    read_table,
    read_topic,
    read_topic_policy,
    read_version,
)

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


def trust(*services: str) -> Properties:
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": [f"{each}.amazonaws.com" for each in services]},
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
        lasting: Properties that are the same when they are no longer given: the
            service keeps them, or they are given as they are by default.
    """

    first: Properties
    read: Read | None
    second: Properties | None = None
    third: Properties | None = None
    hidden: frozenset[str] = frozenset()
    lasting: frozenset[str] = frozenset()


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
    queue: str
    queue_url: str
    topic: str


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
        "NotificationConfiguration": {
            "EventBridgeConfiguration": {"EventBridgeEnabled": True}
        },
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
        "NotificationConfiguration": {
            "EventBridgeConfiguration": {"EventBridgeEnabled": False}
        },
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
            lasting=frozenset({"QueryLanguage"}),
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
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "Metrics": [
            {
                "Expression": "FILL(m1, 0)",
                "Id": "filled",
                "Label": "Without gaps",
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
                "ReturnData": False,
            },
        ],
        "Threshold": 60.0,
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


def event_cases(around: Around) -> dict[str, Case]:
    queue = arn("sqs", around.queue)
    lasting = {
        "DeadLetterConfig": {"Arn": queue},
        "RetryPolicy": {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 2},
    }
    role = f"arn:aws:iam::{ACCOUNT}:role/{around.role}"
    rule = {
        "Description": "Uploads",
        "EventBusName": "default",
        "EventPattern": {"source": ["aws.s3"], "detail": {"size": [3]}},
        "Name": NAME,
        "State": "DISABLED",
        "Targets": [
            {
                "Arn": queue,
                "Id": "transformed",
                "InputTransformer": {
                    "InputPathsMap": {"key": "$.detail.object.key"},
                    "InputTemplate": '{"key": <key>}',
                },
                **lasting,
            },
            {
                "Arn": arn("states", f"stateMachine:{NAME}"),
                "Id": "fixed",
                "Input": "{}",
                "RoleArn": role,
            },
            {"Arn": queue, "Id": "part", "InputPath": "$.detail"},
        ],
    }
    # What is enabled is due in another century: other tests let years pass.
    timed = {
        "EventBusName": "default",
        "Name": NAME,
        "ScheduleExpression": "cron(0 0 1 1 ? 2190)",
        "Targets": [{"Arn": queue, "Id": "fixed", "Input": "1"}],
    }
    schedule = {
        "Description": "Nightly",
        "EndDate": "2091-01-01T00:00:00Z",
        "FlexibleTimeWindow": {"MaximumWindowInMinutes": 10, "Mode": "FLEXIBLE"},
        "GroupName": f"{NAME}-around",
        "Name": NAME,
        "ScheduleExpression": "cron(0 3 * * ? *)",
        "ScheduleExpressionTimezone": "Europe/Berlin",
        "StartDate": "2090-01-01T00:00:00Z",
        "State": "DISABLED",
        "Target": {
            "Arn": arn("events", "event-bus/default"),
            "EventBridgeParameters": {"DetailType": "Night", "Source": "segments"},
            "Input": "{}",
            "RoleArn": role,
            **lasting,
        },
    }
    once = {
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "GroupName": f"{NAME}-around",
        "Name": NAME,
        "ScheduleExpression": "at(2190-01-01T00:00:00)",
        "Target": {"Arn": queue, "RoleArn": role, **lasting},
    }
    return {
        "AWS::Events::EventBus": Case(
            {"Name": NAME}, read_event_bus, third={"Name": f"{NAME}-2"}
        ),
        "AWS::Events::Rule": Case(
            rule,
            read_rule,
            timed,
            {**rule, "EventBusName": f"{NAME}-around", "State": "ENABLED"},
        ),
        "AWS::Scheduler::Schedule": Case(
            schedule,
            read_schedule,
            once,
            {
                **once,
                "GroupName": "default",
                "Name": f"{NAME}-2",
                "State": "ENABLED",
            },
        ),
        "AWS::Scheduler::ScheduleGroup": Case(
            {"Name": NAME, "Tags": TAGS},
            read_schedule_group,
            {"Name": NAME, "Tags": MORE_TAGS},
            {"Name": f"{NAME}-2"},
        ),
    }


def messaging_cases(around: Around) -> dict[str, Case]:
    queues = [arn("sqs", name) for name in (around.queue, f"{around.queue}-2")]
    topics = [arn("sns", name) for name in (around.topic, f"{around.topic}-2")]
    urls = [f"{around.queue_url}{end}" for end in ("", "-2")]
    queue = {
        "DelaySeconds": 5,
        "KmsDataKeyReusePeriodSeconds": 600,
        "KmsMasterKeyId": "alias/aws/sqs",
        "MaximumMessageSize": 2048,
        "MessageRetentionPeriod": 1_209_600,
        "QueueName": NAME,
        "ReceiveMessageWaitTimeSeconds": 7,
        "RedrivePolicy": {"deadLetterTargetArn": queues[0], "maxReceiveCount": 3},
        "SqsManagedSseEnabled": False,
        "Tags": TAGS,
        "VisibilityTimeout": 90,
    }
    changed_queue = {"DelaySeconds": 6, "QueueName": NAME, "Tags": MORE_TAGS}
    topic = {
        "DisplayName": "Notices",
        "KmsMasterKeyId": "alias/aws/sns",
        "Subscription": [{"Endpoint": "ops@example.com", "Protocol": "email"}],
        "Tags": TAGS,
        "TopicName": NAME,
    }
    changed_topic = {
        "DisplayName": "Alarms",
        "Subscription": [{"Endpoint": "crm@example.com", "Protocol": "email"}],
        "Tags": MORE_TAGS,
        "TopicName": NAME,
    }
    subscription = {
        "Endpoint": queues[0],
        "FilterPolicy": {"run": {"status": ["FAILED"]}},
        "FilterPolicyScope": "MessageBody",
        "Protocol": "sqs",
        "RawMessageDelivery": True,
        "RedrivePolicy": {"deadLetterTargetArn": queues[1]},
        "TopicArn": topics[0],
    }
    changed_subscription = {
        "Endpoint": queues[0],
        "Protocol": "sqs",
        "TopicArn": topics[0],
    }
    send = policy("sqs:SendMessage", Principal="*", Sid="Send")
    receive = policy("sqs:ReceiveMessage", Principal="*")
    publish = policy("sns:Publish", Principal="*", Sid="Publish")
    subscribe = policy("sns:Subscribe", Principal="*")
    mapping = {
        "BatchSize": 100,
        "Enabled": False,
        "EventSourceArn": queues[0],
        "FunctionName": around.function,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "MaximumBatchingWindowInSeconds": 30,
        "ScalingConfig": {"MaximumConcurrency": 2},
    }
    changed_mapping = {
        "EventSourceArn": queues[0],
        "FunctionName": f"{around.function}-2",
    }
    return {
        "AWS::Lambda::EventSourceMapping": Case(
            mapping,
            read_mapping,
            changed_mapping,
            {**changed_mapping, "EventSourceArn": queues[1]},
        ),
        "AWS::SNS::Subscription": Case(
            subscription,
            read_subscription,
            changed_subscription,
            {**changed_subscription, "TopicArn": topics[1]},
        ),
        "AWS::SNS::Topic": Case(
            topic, read_topic, changed_topic, {**topic, "TopicName": f"{NAME}-2"}
        ),
        "AWS::SNS::TopicPolicy": Case(
            {"PolicyDocument": publish, "Topics": topics[:1]},
            read_topic_policy,
            {"PolicyDocument": subscribe, "Topics": topics[1:]},
        ),
        "AWS::SQS::Queue": Case(
            queue,
            read_queue,
            changed_queue,
            {**changed_queue, "QueueName": f"{NAME}-2"},
        ),
        "AWS::SQS::QueuePolicy": Case(
            {"PolicyDocument": send, "Queues": urls[:1]},
            read_queue_policy,
            {"PolicyDocument": receive, "Queues": urls[1:]},
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
        "FilterExpression": "EXCLUDE UserID WHERE Users.AGE < 18",
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
            lasting=frozenset({"DataType", "Tier"}),
        ),
    }


def all_cases(around: Around) -> dict[str, Case]:
    return {
        **bucket_cases(around),
        **catalogue_cases(around),
        **event_cases(around),
        **function_cases(around),
        **key_cases(around),
        **log_cases(around),
        **messaging_cases(around),
        **monitoring_cases(around),
        **other_cases(around),
        **role_cases(around),
        **state_machine_cases(around),
    }
