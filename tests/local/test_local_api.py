"""What local AWS does not honour is refused by its name, whatever the protocol."""

import base64
import hashlib
import re
import uuid

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.local.api import SERVICES


@pytest.mark.bridge("cdk_personalize_segments.local.api")
@pytest.mark.parametrize(
    ("service", "operation", "parameters", "name"),
    [
        ("dynamodb", "list_tables", {}, "dynamodb"),
        ("cloudformation", "list_stack_sets", {}, "ListStackSets"),
        ("iam", "list_users", {}, "ListUsers"),
        ("stepfunctions", "list_activities", {}, "ListActivities"),
        ("lambda", "list_layers", {}, "ListLayers"),
        ("s3", "get_bucket_website", {"Bucket": "b"}, "GetBucketWebsite"),
        ("s3", "get_object_torrent", {"Bucket": "b", "Key": "k"}, "GetObjectTorrent"),
        ("personalize", "list_campaigns", {}, "ListCampaigns"),
    ],
)
def test_an_operation_that_is_not_honoured_is_refused_by_name(
    aws, service, operation, parameters, name
):
    call = getattr(aws.create_client(service, "us-east-1"), operation)
    refused = re.escape("local AWS does not honour this request") + f".*{name}"
    with pytest.raises(ClientError, match=refused) as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Code"] == "NotImplemented"


def test_made_up_names_follow_from_the_seed():
    from cdk_personalize_segments.local import LocalAws

    def drawn(seed):
        account = LocalAws(seed=seed)
        first = account.chance("a").random()
        account.chance("b").random()
        return first, account.chance("a").random()

    assert drawn(1) == drawn(1)
    assert len({*drawn(1), *drawn(2)}) == 4


MEMBERS = {
    "cloudwatch": ("put_dashboard", {"DashboardName": "d", "DashboardBody": "{}"}),
    "events": ("put_rule", {"Name": "r", "EventPattern": '{"source": ["a"]}'}),
    "iam": ("list_policy_versions", {"PolicyArn": "arn:aws:iam::aws:policy/a"}),
    "kms": ("create_key", {}),
    "lambda": ("update_function_code", {"FunctionName": "f", "ZipFile": b"z"}),
    "s3": ("put_object", {"Bucket": "b", "Key": "k", "Body": b"b"}),
    "sqs": ("list_queues", {}),
    "sts": ("assume_role", {"RoleArn": "a" * 20, "RoleSessionName": "me"}),
}


@pytest.mark.parametrize(
    ("service", "member", "value"),
    [
        ("cloudwatch", "Tags", [{"Key": "a", "Value": "b"}]),
        ("events", "RoleArn", "arn:aws:iam::123456789012:role/r"),
        ("iam", "Marker", "nonsense"),
        ("kms", "Origin", "EXTERNAL"),
        ("lambda", "RevisionId", "nonsense"),
        ("lambda", "DryRun", True),
        ("s3", "SSEKMSKeyId", "nonsense"),
        ("s3", "WriteOffsetBytes", 5),
        ("s3", "ObjectLockMode", "GOVERNANCE"),
        ("sqs", "NextToken", "nonsense"),
        ("sts", "Policy", "{}"),
    ],
)
def test_a_member_that_does_not_count_is_refused_by_name(aws, service, member, value):
    operation, others = MEMBERS[service]
    call = getattr(aws.client(service), operation)
    with pytest.raises(ClientError, match=f"{member} of .* is not honoured"):
        call(**others, **{member: value})


def test_members_that_count_are_those_of_the_operation(aws):
    for name, service in SERVICES.items():
        model = aws.client(name).meta.service_model
        for operation, members in service.moto.items():
            shape = model.operation_model(operation).input_shape
            assert members <= set(shape.members if shape else []), operation


# --- What S3 checks of a request ---


@pytest.fixture(scope="module")
def bucket(aws):
    name = f"test-{uuid.uuid4().hex[:12]}"
    aws.client("s3").create_bucket(Bucket=name)
    return name


@pytest.mark.bridge("cdk_personalize_segments.local.s3_requests")
@pytest.mark.emulates("s3:PutObject", "s3:UploadPart")
@pytest.mark.parametrize(
    ("digest", "code"),
    [
        ({"ContentMD5": "AAAA"}, "InvalidDigest"),
        ({"ContentMD5": "A" * 22 + "=="}, "BadDigest"),
        ({"ChecksumSHA256": "AAAA"}, "InvalidRequest"),
        ({"ChecksumSHA256": "A" * 43 + "="}, "BadDigest"),
        ({"ChecksumSHA1": "A" * 27 + "="}, "BadDigest"),
        ({"ChecksumCRC32": "AAAAAA=="}, "BadDigest"),
        ({"ExpectedBucketOwner": "111111111111"}, "AccessDenied"),
    ],
)
def test_s3_refuses_a_wrong_digest_or_owner(aws, bucket, digest, code):
    s3 = aws.client("s3")
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="a", Body=b"body", **digest)
    assert refused.value.response["Error"]["Code"] == code
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_s3_takes_the_right_digest_and_owner(aws, bucket):
    body = b"body"
    sha256, md5 = (
        base64.b64encode(digest(body).digest()).decode()
        for digest in (hashlib.sha256, hashlib.md5)
    )
    given = {"Bucket": bucket, "Key": "b", "ExpectedBucketOwner": aws.account_id}
    s3 = aws.client("s3")
    s3.put_object(**given, Body=body, ContentMD5=md5, ChecksumSHA256=sha256)
    assert s3.get_object(**given)["Body"].read() == body
    s3.delete_object(**given)


@pytest.mark.bridge(
    "moto.kms.models.KmsBackend.create_key", "moto.kms.models.KmsBackend.put_key_policy"
)
@pytest.mark.emulates("kms:CreateKey", "kms:PutKeyPolicy")
def test_a_malformed_key_policy_is_refused(aws):
    kms = aws.client("kms")
    malformed = kms.exceptions.MalformedPolicyDocumentException
    for policy in ('{"bad"', "[]", "{}"):
        with pytest.raises(malformed):
            kms.create_key(Policy=policy)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    with pytest.raises(malformed):
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy='{"bad"')
