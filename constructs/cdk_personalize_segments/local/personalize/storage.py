"""How a job reaches S3: as the service role and as the service principal, both."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from moto.s3.models import FakeDeleteMarker, s3_backends
from moto.utilities.utils import get_partition

from cdk_personalize_segments._runtime import limits, locations
from cdk_personalize_segments.local import enforcement
from cdk_personalize_segments.local.personalize import errors
from cdk_personalize_segments.local.personalize.segments import (
    InputFile,
    JobFailedError,
)
from cdk_personalize_segments.local.policies import UnsupportedPolicyError

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

PRINCIPAL: Final = "personalize.amazonaws.com"
# How often, and how soon again (in real seconds), an object is read that others change.
_ATTEMPTS: Final = 1000
_PAUSE: Final = 0.001
# As for dataset imports, where this text was seen.
_INSUFFICIENT: Final = (
    "Insufficient privileges for accessing data in S3. Please look at "
    "https://docs.aws.amazon.com/personalize/latest/dg/"
    "granting-personalize-s3-access.html and fix {fix}: {reason}"
)


@dataclass(frozen=True)
class JobStorage:
    """The S3 side of a job.

    The service needs the permission of its role and of the bucket's policy for the
    service principal. Whether it sends `aws:SourceAccount`, `aws:SourceArn` and
    `s3:prefix` along is not documented, so a request must be allowed with them and
    without: what passes here holds either way.

    Attributes:
        aws: The local AWS.
        job_arn: The job.
        role_arn: The role given for it.
        input_path: The S3 URI of the input.
        output_path: The S3 URI of the output.
    """

    aws: "LocalAws"
    job_arn: str
    role_arn: str
    input_path: str
    output_path: str

    def check_request(self) -> None:
        """Check what is known before the job works.

        Raises:
            PersonalizeError: InvalidInputException, if a path is unusable, or the role
                or a bucket policy does not let the job read or write.
        """
        for name, path in (("input", self.input_path), ("output", self.output_path)):
            bucket, _ = locations.bucket_and_key(path)
            if not path.startswith("s3://") or not bucket:
                raise errors.invalid_input(
                    f"Invalid S3 {name} path: {path} must start with s3:// and a bucket"
                )
            if bucket not in s3_backends.bucket_accounts:
                raise errors.invalid_input(
                    f"Invalid S3 {name} path: the bucket {bucket} does not exist"
                )
            self._refuse_kms(bucket)
        if self.input_path.rstrip("/") == self.output_path.rstrip("/"):
            raise errors.invalid_input(
                "Invalid S3 output path: it must differ from the input path"
            )
        try:
            enforcement.check_assumable(
                self.aws,
                role_arn=self.role_arn,
                service=PRINCIPAL,
                context=self._source(),
            )
            self._check("s3:ListBucket", self.input_path, as_list=True)
            self._check("s3:GetObject", self.input_path)
            self._check("s3:PutObject", self.output_path)
        except enforcement.AccessDenied as denied:
            raise errors.invalid_input(str(denied)) from denied
        except UnsupportedPolicyError as error:
            raise errors.not_emulated(str(error)) from error

    def read(self) -> list[InputFile]:
        """Read every object whose key starts with the input path, as they are now.

        Raises:
            JobFailedError: There is none, one may not be read, or they exceed a limit.
        """
        bucket, prefix = locations.bucket_and_key(self.input_path)
        self._check_working("s3:ListBucket", self.input_path, as_list=True)
        objects = _objects(self._backend(), bucket, prefix)
        if not objects:
            raise JobFailedError(
                f"Invalid Data location. No object matches {self.input_path}"
            )
        if len(objects) > limits.MAX_INPUT_FILES:
            raise JobFailedError(
                f"{len(objects)} objects match {self.input_path}; a job takes at most "
                f"{limits.MAX_INPUT_FILES} input files."
            )
        size = sum(each.size for each in objects)
        if size > limits.MAX_INPUT_BYTES:
            raise JobFailedError(
                f"The input files hold {size} bytes; a job takes at most "
                f"{limits.MAX_INPUT_BYTES}."
            )
        for each in objects:
            self._check_working("s3:GetObject", locations.uri(bucket, each.name))
            if each.name.endswith("/"):
                raise JobFailedError(
                    f"{each.name} is a folder marker; what the service does with one "
                    "is not known, so keep it out of the input."
                )
        keys = self._backend().get_bucket(bucket).keys
        return [InputFile(each.name, _content(keys, each)) for each in objects]

    def check_write(self, name: str) -> None:
        """Check that an output object may be written.

        Raises:
            JobFailedError: It may not.
        """
        self._check_working("s3:PutObject", self.output_path + name)

    def write(self, name: str, content: bytes) -> None:
        """Write an output object; its key is the output path and the name, joined.

        Does nothing if the bucket is gone by now.
        """
        bucket, key = locations.bucket_and_key(self.output_path + name)
        if bucket in s3_backends.bucket_accounts:
            self._backend().put_object(bucket, key, content)

    def _refuse_kms(self, bucket: str) -> None:
        encryption = self._backend().get_bucket(bucket).encryption or {}
        default = encryption.get("Rule", {}).get(
            "ApplyServerSideEncryptionByDefault", {}
        )
        if str(default.get("SSEAlgorithm", "")).startswith("aws:kms"):
            raise errors.not_emulated(
                f"the bucket {bucket} is encrypted with KMS, and whether the service "
                "may use the key is not emulated by local AWS; use a bucket with "
                "SSE-S3"
            )

    def _backend(self) -> Any:  # noqa: ANN401
        return s3_backends[self.aws.account_id][get_partition(self.aws.region)]

    def _source(self) -> dict[str, str]:
        return {
            "aws:SourceAccount": self.aws.account_id,
            "aws:SourceArn": self.job_arn,
        }

    def _check_working(self, action: str, uri: str, *, as_list: bool = False) -> None:
        try:
            self._check(action, uri, as_list=as_list)
        except (enforcement.AccessDenied, UnsupportedPolicyError) as denied:
            raise JobFailedError(str(denied)) from denied

    def _check(self, action: str, uri: str, *, as_list: bool = False) -> None:
        bucket, key = locations.bucket_and_key(uri)
        partition = get_partition(self.aws.region)
        arn = f"arn:{partition}:s3:::{bucket}" + ("" if as_list else f"/{key}")
        prefixes = [{"s3:prefix": key}, {}] if as_list else [{}]
        for prefix in prefixes:
            with _explained(f"the policies of role {self.role_arn}"):
                enforcement.check(
                    self.aws,
                    role_arn=self.role_arn,
                    action=action,
                    resource=arn,
                    context=prefix,
                )
        for prefix, source in product(prefixes, [self._source(), {}]):
            with _explained(f"bucket policy on {bucket}"):
                enforcement.check_bucket_policy(
                    self.aws,
                    service=PRINCIPAL,
                    action=action,
                    bucket=bucket,
                    key=None if as_list else key,
                    context={**prefix, **source},
                )


@contextmanager
def _explained(fix: str) -> Iterator[None]:
    """Say which policy to fix when access is denied."""
    try:
        yield
    except enforcement.AccessDenied as denied:
        raise enforcement.AccessDenied(
            _INSUFFICIENT.format(fix=fix, reason=denied)
        ) from denied


def _objects(backend: Any, bucket: str, prefix: str) -> list[Any]:  # noqa: ANN401
    # A copy, made in one go: other threads write to the bucket meanwhile.
    keys = dict(backend.get_bucket(bucket).keys)
    newest = [keys[name][-1] for name in sorted(keys) if name.startswith(prefix)]
    return [each for each in newest if not isinstance(each, FakeDeleteMarker)]


def _content(keys: Any, found: Any) -> bytes:  # noqa: ANN401
    """Read an object that others may overwrite or delete meanwhile.

    moto closes the old content first, and puts the new one in its place after that.
    """
    for _ in range(_ATTEMPTS):
        try:
            return bytes(found.value)
        except ValueError:
            newer = keys.get(found.name)
        if newer is None or isinstance(newer, FakeDeleteMarker):
            break
        if newer is found:
            time.sleep(_PAUSE)
        found = newer
    raise JobFailedError(f"{found.name} was deleted while the job read it.")
