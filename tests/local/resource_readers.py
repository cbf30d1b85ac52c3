"""How each type of resource is read back: as its service's API shows it.

A reader gives properties in CloudFormation's form, and None or an error if the resource
is gone.
"""

import json
from collections.abc import Mapping
from typing import Any

from cdk_personalize_segments.local import LocalAws

Properties = dict[str, Any]


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
    told = s3.get_bucket_notification_configuration(Bucket=bucket)
    bridge = {"EventBridgeEnabled": "EventBridgeConfiguration" in told}
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
        "NotificationConfiguration": {"EventBridgeConfiguration": bridge},
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
    # ListEntitiesForPolicy of moto looks at the first 100 roles of an account only.
    users = [
        role
        for role in given.get("Roles", ())
        for each in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        if each["PolicyArn"] == own
    ]
    return {
        "Description": found["Description"],
        "ManagedPolicyName": found["PolicyName"],
        "Path": found["Path"],
        "PolicyDocument": version["Document"],
        "Roles": users,
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


def read_mapping(aws: LocalAws, uuid: str, given: Properties) -> Properties:
    found = aws.client("lambda").get_event_source_mapping(UUID=uuid)
    return {
        **found,
        "Enabled": found["State"] == "Enabled",
        "FunctionName": found["FunctionArn"].rpartition(":")[2],
    }


def read_event_bus(aws: LocalAws, name: str, given: Properties) -> Properties:
    return dict(aws.client("events").describe_event_bus(Name=name))


def read_rule(aws: LocalAws, physical_id: str, given: Properties) -> Properties:
    client = aws.client("events")
    bus, _, name = physical_id.rpartition("|")
    place = {"EventBusName": bus or "default"}
    found = client.describe_rule(Name=name, **place)
    pattern = found.get("EventPattern")
    return {
        **found,
        "EventPattern": json.loads(pattern) if pattern else None,
        "Targets": client.list_targets_by_rule(Rule=name, **place)["Targets"],
    }


def read_schedule(aws: LocalAws, name: str, given: Properties) -> Properties:
    found = aws.client("scheduler").get_schedule(
        Name=name, GroupName=given["GroupName"]
    )
    for each in {"StartDate", "EndDate"} & found.keys():
        found[each] = f"{found[each]:%Y-%m-%dT%H:%M:%SZ}"
    return dict(found)


def read_schedule_group(aws: LocalAws, name: str, given: Properties) -> Properties:
    client = aws.client("scheduler")
    found = client.get_schedule_group(Name=name)
    labels = client.list_tags_for_resource(ResourceArn=found["Arn"])
    return {"Name": found["Name"], "Tags": labels["Tags"]}


def read_queue(aws: LocalAws, url: str, given: Properties) -> Properties:
    sqs = aws.client("sqs")
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    attributes: Properties = {
        name: int(value) if value.isdecimal() else value
        for name, value in found["Attributes"].items()
    }
    attributes["SqsManagedSseEnabled"] = attributes["SqsManagedSseEnabled"] == "true"
    if "RedrivePolicy" in attributes:
        attributes["RedrivePolicy"] = json.loads(attributes["RedrivePolicy"])
    return {
        **attributes,
        "QueueName": attributes["QueueArn"].rpartition(":")[2],
        "Tags": tags(sqs.list_queue_tags(QueueUrl=url).get("Tags", {})),
    }


def read_queue_policy(
    aws: LocalAws, physical_id: str, given: Properties
) -> Properties | None:
    sqs = aws.client("sqs")
    policies = {}
    for url in both(given["Queues"]):
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        policies[url] = found.get("Attributes", {}).get("Policy")
    return on_holders(policies, "Queues", given)


def read_topic(aws: LocalAws, own: str, given: Properties) -> Properties:
    sns = aws.client("sns")
    subscribed = sns.list_subscriptions_by_topic(TopicArn=own)["Subscriptions"]
    return {
        **sns.get_topic_attributes(TopicArn=own)["Attributes"],
        "Subscription": [
            only(each, {"Endpoint": None, "Protocol": None}) for each in subscribed
        ],
        "Tags": sns.list_tags_for_resource(ResourceArn=own)["Tags"],
        "TopicName": own.rpartition(":")[2],
    }


def read_topic_policy(
    aws: LocalAws, physical_id: str, given: Properties
) -> Properties | None:
    sns = aws.client("sns")
    policies = {}
    for topic in both(given["Topics"]):
        found = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
        policies[topic] = found["Policy"]
    return on_holders(policies, "Topics", given)


def both(holders: list[str]) -> list[str]:
    """Give the two that are around, of which one has the policy."""
    first = holders[0].removesuffix("-2")
    return [first, f"{first}-2"]


def on_holders(
    policies: Mapping[str, str | None], kind: str, given: Properties
) -> Properties | None:
    """Tell on what a policy is that many things may have, or None if on nothing."""
    document = given["PolicyDocument"]
    holders = [
        holder
        for holder, text in policies.items()
        if text and json.loads(text) == document
    ]
    return {kind: holders, "PolicyDocument": document} if holders else None


def read_subscription(aws: LocalAws, own: str, given: Properties) -> Properties:
    found = aws.client("sns").get_subscription_attributes(SubscriptionArn=own)
    attributes = dict(found["Attributes"])
    for name in {"FilterPolicy", "RawMessageDelivery", "RedrivePolicy"} & found[
        "Attributes"
    ].keys():
        attributes[name] = json.loads(attributes[name])
    return attributes
