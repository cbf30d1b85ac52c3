"""Answers of S3 that moto gives otherwise.

Every bucket has an encryption, by default that with keys of S3:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketEncryption.html. A part of
an upload that is over is refused, where moto fails:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html. And a write has
its ETag even if another one takes its place at once, where moto fails, too.
"""

from typing import TYPE_CHECKING, Final

from moto.s3.exceptions import NoSuchUpload
from moto.s3.models import FakeKey, S3Backend

from cdk_personalize_segments.local.patching import patch
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

_ENCRYPTION: Final = {
    "Rule": {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
        "BucketKeyEnabled": "false",
    }
}


def install(_: "LocalAws") -> None:
    """Answer as S3 does."""
    encryption_of, upload = S3Backend.get_bucket_encryption, S3Backend.upload_part
    create = FakeKey.__init__

    def create_key(key: Moto, *args: Moto, **options: Moto) -> None:
        create(key, *args, **options)
        # Has it worked out, and kept, as long as the content is there for sure.
        _ = key.etag

    def get_bucket_encryption(backend: Moto, bucket_name: str) -> Moto:
        return encryption_of(backend, bucket_name) or _ENCRYPTION

    def upload_part(
        backend: Moto, bucket_name: str, multipart_id: str, part_id: int, value: bytes
    ) -> Moto:
        if multipart_id not in backend.get_bucket(bucket_name).multiparts:
            raise NoSuchUpload(upload_id=multipart_id)
        return upload(backend, bucket_name, multipart_id, part_id, value)

    patch(S3Backend, "get_bucket_encryption", get_bucket_encryption)
    patch(S3Backend, "upload_part", upload_part)
    patch(FakeKey, "__init__", create_key)
