"""Operations of S3, each by what another one tells of it."""

import uuid

import pytest
from botocore.exceptions import ClientError
from moto.moto_api._internal import mock_random


class Bucket:
    """A bucket, and what is in it."""

    def __init__(self, client):
        self.client = client
        self.name = f"test-{uuid.uuid4().hex[:12]}"
        client.create_bucket(Bucket=self.name)

    def __getattr__(self, operation):
        """Call an operation on the bucket."""
        call = getattr(self.client, operation)
        return lambda **parameters: call(Bucket=self.name, **parameters)

    def put(self, *keys):
        for key in keys:
            self.put_object(Key=key, Body=key.encode())

    def keys(self):
        return [each["Key"] for each in self.list_objects_v2().get("Contents", [])]

    def code(self, operation, **parameters):
        """Give the code of the error that an operation ends with."""
        with pytest.raises(ClientError) as refused:
            getattr(self, operation)(**parameters)
        return refused.value.response["Error"]["Code"]


@pytest.fixture
def bucket(aws):
    return Bucket(aws.client("s3"))


@pytest.mark.emulates("s3:HeadBucket", "s3:ListBuckets", "s3:GetBucketLocation")
def test_a_bucket_is_there_until_it_is_deleted(bucket):
    def names():
        return [each["Name"] for each in bucket.client.list_buckets()["Buckets"]]

    bucket.head_bucket()
    assert bucket.name in names()
    # Of us-east-1, for which S3 has no name here.
    assert bucket.get_bucket_location()["LocationConstraint"] is None
    bucket.delete_bucket()
    assert bucket.code("head_bucket") == "404"
    assert bucket.name not in names()


@pytest.mark.emulates("s3:GetObject")
def test_an_object_is_read_whole_or_in_parts(bucket):
    bucket.put_object(Key="a", Body=b"0123456789", Metadata={"team": "crm"})
    whole = bucket.get_object(Key="a")
    assert whole["Body"].read() == b"0123456789"
    assert whole["Metadata"] == {"team": "crm"}
    part = bucket.get_object(Key="a", Range="bytes=2-4")
    assert (part["Body"].read(), part["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert bucket.code("get_object", Key="b") == "NoSuchKey"


@pytest.mark.emulates("s3:CopyObject")
def test_an_object_is_copied(bucket):
    bucket.put("a")
    bucket.copy_object(Key="b", CopySource={"Bucket": bucket.name, "Key": "a"})
    assert bucket.get_object(Key="b")["Body"].read() == b"a"


@pytest.mark.emulates("s3:DeleteObject", "s3:DeleteObjects")
def test_objects_are_deleted_one_by_one_or_together(bucket):
    bucket.put("a", "b", "c", "d")
    bucket.delete_object(Key="a")
    assert bucket.keys() == ["b", "c", "d"]
    gone = {"Objects": [{"Key": "b"}, {"Key": "c"}]}
    told = bucket.delete_objects(Delete=gone)["Deleted"]
    assert sorted(each["Key"] for each in told) == ["b", "c"]
    assert bucket.keys() == ["d"]


@pytest.mark.emulates("s3:ListObjects")
def test_objects_are_listed_by_prefix_and_page(bucket):
    bucket.put("a/1", "a/2", "b/1")
    first = bucket.list_objects(Prefix="a/", MaxKeys=1)
    assert ([each["Key"] for each in first["Contents"]], first["IsTruncated"]) == (
        ["a/1"],
        True,
    )
    rest = bucket.list_objects(Prefix="a/", Marker="a/1")
    assert [each["Key"] for each in rest["Contents"]] == ["a/2"]
    folders = bucket.list_objects(Delimiter="/")["CommonPrefixes"]
    assert [each["Prefix"] for each in folders] == ["a/", "b/"]


@pytest.mark.emulates("s3:ListObjectVersions")
def test_versions_and_delete_markers_are_listed_newest_first(bucket):
    bucket.put_bucket_versioning(VersioningConfiguration={"Status": "Enabled"})
    old = bucket.put_object(Key="a", Body=b"1")["VersionId"]
    new = bucket.put_object(Key="a", Body=b"2")["VersionId"]
    bucket.delete_object(Key="a")
    listed = bucket.list_object_versions()
    assert [each["VersionId"] for each in listed["Versions"]] == [new, old]
    [marker] = listed["DeleteMarkers"]
    assert marker["IsLatest"]
    assert bucket.get_object(Key="a", VersionId=old)["Body"].read() == b"1"


@pytest.mark.emulates("s3:PutObjectTagging", "s3:GetObjectTagging")
def test_objects_are_tagged(bucket):
    bucket.put("a")
    tags = [{"Key": "team", "Value": "crm"}]
    bucket.put_object_tagging(Key="a", Tagging={"TagSet": tags})
    assert bucket.get_object_tagging(Key="a")["TagSet"] == tags


@pytest.mark.bridge("moto.s3.models.S3Backend.upload_part")
@pytest.mark.emulates(
    "s3:CreateMultipartUpload",
    "s3:UploadPart",
    "s3:ListParts",
    "s3:ListMultipartUploads",
    "s3:CompleteMultipartUpload",
    "s3:AbortMultipartUpload",
)
def test_an_upload_in_parts_is_an_object_when_it_is_complete(bucket):
    large = b"x" * 5 * 1024 * 1024
    upload = {
        "Key": "a",
        "UploadId": bucket.create_multipart_upload(Key="a")["UploadId"],
    }
    etags = [
        bucket.upload_part(**upload, PartNumber=number, Body=body)["ETag"]
        for number, body in enumerate([large, b"end"], start=1)
    ]
    listed = bucket.list_parts(**upload)["Parts"]
    assert [each["ETag"] for each in listed] == etags
    [under_way] = bucket.list_multipart_uploads()["Uploads"]
    assert under_way["UploadId"] == upload["UploadId"]
    assert bucket.keys() == []

    parts = [{"ETag": tag, "PartNumber": n} for n, tag in enumerate(etags, start=1)]
    bucket.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert bucket.get_object(Key="a")["Body"].read() == large + b"end"
    assert "Uploads" not in bucket.list_multipart_uploads()

    other = {
        "Key": "b",
        "UploadId": bucket.create_multipart_upload(Key="b")["UploadId"],
    }
    bucket.abort_multipart_upload(**other)
    assert bucket.code("upload_part", **other, PartNumber=1, Body=b"") == "NoSuchUpload"
    assert bucket.keys() == ["a"]


@pytest.mark.bridge("moto.s3.models.FakeMultipart.__init__")
def test_ids_of_uploads_follow_from_the_seed(bucket):
    def upload_id():
        mock_random.seed(7)
        return bucket.create_multipart_upload(Key="a")["UploadId"]

    assert upload_id() == upload_id()


CORS = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
LIFECYCLE = {
    "Rules": [
        {
            "ID": "old",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"Days": 7},
        }
    ]
}
OWNERSHIP = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
BLOCK = {
    "BlockPublicAcls": True,
    "BlockPublicPolicy": True,
    "IgnorePublicAcls": True,
    "RestrictPublicBuckets": True,
}
TAGGING = {"TagSet": [{"Key": "team", "Value": "crm"}]}


@pytest.mark.parametrize(
    ("name", "read", "setting", "code"),
    [
        pytest.param(
            *case, marks=pytest.mark.emulates(f"s3:Delete{deleted}"), id=deleted
        )
        for deleted, *case in [
            (
                "BucketCors",
                "bucket_cors",
                "bucket_cors",
                {"CORSConfiguration": CORS},
                "NoSuchCORSConfiguration",
            ),
            (
                "BucketLifecycle",
                "bucket_lifecycle",
                "bucket_lifecycle_configuration",
                {"LifecycleConfiguration": LIFECYCLE},
                "NoSuchLifecycleConfiguration",
            ),
            (
                "BucketOwnershipControls",
                "bucket_ownership_controls",
                "bucket_ownership_controls",
                {"OwnershipControls": OWNERSHIP},
                "OwnershipControlsNotFoundError",
            ),
            (
                "BucketTagging",
                "bucket_tagging",
                "bucket_tagging",
                {"Tagging": TAGGING},
                "NoSuchTagSet",
            ),
            (
                "PublicAccessBlock",
                "public_access_block",
                "public_access_block",
                {"PublicAccessBlockConfiguration": BLOCK},
                "NoSuchPublicAccessBlockConfiguration",
            ),
        ]
    ],
)
def test_a_setting_of_a_bucket_is_deleted(bucket, name, read, setting, code):
    getattr(bucket, f"put_{read}")(**setting)
    getattr(bucket, f"get_{read}")()
    getattr(bucket, f"delete_{name}")()
    assert bucket.code(f"get_{read}") == code


@pytest.mark.bridge("moto.s3.models.S3Backend.get_bucket_encryption")
@pytest.mark.emulates("s3:DeleteBucketEncryption")
def test_a_bucket_without_encryption_of_its_own_has_that_of_s3(bucket):
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    bucket.put_bucket_encryption(ServerSideEncryptionConfiguration={"Rules": [rule]})

    def algorithm():
        [rule] = bucket.get_bucket_encryption()["ServerSideEncryptionConfiguration"][
            "Rules"
        ]
        return rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]

    assert algorithm() == "aws:kms"
    bucket.delete_bucket_encryption()
    assert algorithm() == "AES256"
