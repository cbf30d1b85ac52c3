"""S3 in the local AWS: what users and handlers count on."""

import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlparse
from urllib.request import urlopen

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from cdk_personalize_segments.local import LocalAws


@pytest.fixture
def bucket(local_aws: LocalAws) -> str:
    """A versioned bucket."""
    name = f"test-{uuid.uuid4()}"
    client = local_aws.client("s3")
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(
        Bucket=name, VersioningConfiguration={"Status": "Enabled"}
    )
    return name


def outcome(error: ClientError) -> tuple[int, str]:
    answer = error.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_a_conditional_write_wins_only_where_nothing_is(
    local_aws: LocalAws, bucket: str
) -> None:
    s3 = local_aws.client("s3")
    s3.put_object(Bucket=bucket, Key="x", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="x", Body=b"2", IfNoneMatch="*")
    assert outcome(error.value) == (412, "PreconditionFailed")
    s3.delete_object(Bucket=bucket, Key="x")
    s3.put_object(Bucket=bucket, Key="x", Body=b"3", IfNoneMatch="*")
    assert s3.get_object(Bucket=bucket, Key="x")["Body"].read() == b"3"


def test_a_conditional_write_replaces_only_what_it_knows(
    local_aws: LocalAws, bucket: str
) -> None:
    s3 = local_aws.client("s3")
    known = s3.put_object(Bucket=bucket, Key="x", Body=b"1")["ETag"]
    s3.put_object(Bucket=bucket, Key="x", Body=b"2", IfMatch=known)
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="x", Body=b"3", IfMatch=known)
    assert outcome(error.value) == (412, "PreconditionFailed")


def test_one_of_many_conditional_writers_wins(local_aws: LocalAws, bucket: str) -> None:
    clients = [local_aws.create_client("s3", "us-east-1") for _ in range(8)]

    def write(number: int, key: str) -> int:
        try:
            clients[number].put_object(
                Bucket=bucket, Key=key, Body=b"x" * 200_000, IfNoneMatch="*"
            )
        except ClientError as error:
            return outcome(error)[0]
        return 200

    with ThreadPoolExecutor(len(clients)) as pool:
        for key in ("a", "b", "c", "d"):
            answers = pool.map(write, range(len(clients)), [key] * len(clients))
            assert sorted(answers) == [200, *[412] * (len(clients) - 1)]


@pytest.mark.bridge("cdk_personalize_segments.local.storage")
def test_a_deletion_during_a_conditional_write_is_a_conflict(
    local_aws: LocalAws, bucket: str
) -> None:
    body = b"0123456789"
    address = urlparse(local_aws.endpoint_url)
    request = AWSRequest(
        "PUT",
        f"{local_aws.endpoint_url}/{bucket}/x",
        {"If-None-Match": "*", "Content-Length": str(len(body))},
        body,
    )
    SigV4Auth(Credentials("local", "local"), "s3", "us-east-1").add_auth(request)
    lines = [f"PUT /{bucket}/x HTTP/1.1", f"Host: {address.netloc}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    with socket.create_connection((str(address.hostname), address.port or 0)) as upload:
        upload.sendall("\r\n".join([*lines, "", ""]).encode() + body[:5])
        # Other connections in between: the upload has begun when these are answered.
        for _ in range(3):
            urlopen(f"{local_aws.endpoint_url}/_local").close()  # noqa: S310
        local_aws.client("s3").delete_object(Bucket=bucket, Key="x")
        upload.sendall(body[5:])
        answer = b"".join(iter(lambda: upload.recv(4096), b"")).decode()
    assert answer.split()[1] == "409"
    assert "ConditionalRequestConflict" in answer


@pytest.mark.bridge("moto.s3.models.utcnow")
def test_older_versions_and_deletions_stay_readable(
    local_aws: LocalAws, bucket: str
) -> None:
    s3 = local_aws.client("s3")
    versions = [
        s3.put_object(Bucket=bucket, Key="a/x", Body=body)["VersionId"]
        for body in (b"1", b"2")
    ]
    s3.put_object(Bucket=bucket, Key="b/x", Body=b"other")
    marker = s3.delete_object(Bucket=bucket, Key="a/x")["VersionId"]
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="a/x")
    assert outcome(error.value) == (404, "NoSuchKey")
    bodies = [
        s3.get_object(Bucket=bucket, Key="a/x", VersionId=version)["Body"].read()
        for version in versions
    ]
    assert bodies == [b"1", b"2"]
    listed = s3.list_object_versions(Bucket=bucket, Prefix="a/")
    assert [each["VersionId"] for each in listed["Versions"]] == versions[::-1]
    assert [each["VersionId"] for each in listed["DeleteMarkers"]] == [marker]


def test_keys_are_listed_in_order_of_their_bytes(
    local_aws: LocalAws, bucket: str
) -> None:
    s3 = local_aws.client("s3")
    keys = ["run.plan/x", "run/part", "run/part-2", "rum", "Run", "rün"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    first = s3.list_objects_v2(Bucket=bucket, MaxKeys=4)
    rest = s3.list_objects_v2(
        Bucket=bucket, ContinuationToken=first["NextContinuationToken"]
    )
    listed = [each["Key"] for page in (first, rest) for each in page["Contents"]]
    assert listed == sorted(keys, key=str.encode)
    within = s3.list_objects_v2(Bucket=bucket, Prefix="run")["Contents"]
    assert [each["Key"] for each in within] == ["run.plan/x", "run/part", "run/part-2"]
