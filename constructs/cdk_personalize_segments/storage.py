"""The buckets of a pipeline, their prefixes and how long things stay in them."""

import json
from dataclasses import dataclass
from typing import Final, cast

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_personalize_segments import _validation
from cdk_personalize_segments._runtime import locations

_PREPARED_INPUT_DAYS: Final = 30
_INCOMPLETE_UPLOAD_DAYS: Final = 7
# S3 removes what is noncurrent after one day at the earliest.
_NONCURRENT_DAYS: Final = 1
_LONGEST_BUCKET_NAME: Final = "b" * 63


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The buckets and prefixes that a pipeline reads and writes."""

    input_bucket: s3.IBucket
    queries_prefix: str
    input_prefix: str
    output_bucket: s3.IBucket
    output_prefix: str
    results_prefix: str

    def check(self, scope: Construct, run_prefix: str) -> None:
        """Check the prefixes, and the paths that come of them.

        Args:
            scope: The pipeline, to tell whether the buckets are where it is.
            run_prefix: What the name of every run starts with.

        Raises:
            ValueError: A prefix contains another one, or makes paths
                longer than Personalize accepts; or a bucket is in another account or
                Region, or encrypted with a KMS key, which the pipeline does not grant
                yet.
        """
        inside = {
            "queries_prefix": self.queries_prefix,
            "input_prefix": self.input_prefix,
        }
        outside = {
            "output_prefix": self.output_prefix,
            "results_prefix": self.results_prefix,
        }
        if self._is_one_bucket():
            _validation.check_disjoint({**inside, **outside})
        else:
            _validation.check_disjoint(inside)
            _validation.check_disjoint(outside)
        self._check_lengths(run_prefix)
        for name, bucket in (
            ("input_bucket", self.input_bucket),
            ("output_bucket", self.output_bucket),
        ):
            _check_bucket(scope, name, bucket)

    def _is_one_bucket(self) -> bool:
        """Tell whether both are the same, as far as synth can know."""
        first, second = self.input_bucket, self.output_bucket
        if first.node.path == second.node.path:
            return True
        names = (first.bucket_name, second.bucket_name)
        return names[0] == names[1] and not any(map(_validation.is_token, names))

    def _check_lengths(self, run_prefix: str) -> None:
        run = locations.run_name(run_prefix, "", "")
        part = locations.part_file(0)
        _validation.check_path_length(
            "input_prefix",
            f"s3://{_name(self.input_bucket)}/{self.input_prefix}{run}/{part}",
        )
        _validation.check_path_length(
            "output_prefix",
            f"s3://{_name(self.output_bucket)}/{self.output_prefix}{run}/",
        )


def input_lifecycle(input_prefix: str) -> list[s3.LifecycleRule]:
    """Expire prepared inputs, never the users' query files.

    Args:
        input_prefix: Where the prepared inputs lie.
    """
    return _expire(
        "PreparedInputs", input_prefix, cdk.Duration.days(_PREPARED_INPUT_DAYS)
    )


def output_lifecycle(
    expiration: cdk.Duration | None, *prefixes: str
) -> list[s3.LifecycleRule]:
    """Expire raw outputs and results.

    Args:
        expiration: After which time, or None to keep them.
        prefixes: Where they lie.
    """
    if expiration is None:
        return []
    return [
        rule
        for prefix in prefixes
        for rule in _expire(f"Expire-{prefix.rstrip('/')}", prefix, expiration)
    ]


def define_bucket(
    scope: Construct,
    construct_id: str,
    *,
    lifecycle_rules: list[s3.LifecycleRule],
    removal_policy: cdk.RemovalPolicy,
) -> s3.Bucket:
    """Define a private, versioned bucket that takes TLS only.

    Args:
        scope: The pipeline.
        construct_id: The bucket's construct id.
        lifecycle_rules: What expires, besides incomplete uploads after 7 days.
        removal_policy: What becomes of it when it leaves the stack.
    """
    bucket = s3.Bucket(
        scope,
        construct_id,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption=s3.BucketEncryption.S3_MANAGED,
        enforce_ssl=True,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        removal_policy=removal_policy,
        versioned=True,
        lifecycle_rules=[
            *lifecycle_rules,
            s3.LifecycleRule(
                id="IncompleteUploads",
                abort_incomplete_multipart_upload_after=cdk.Duration.days(
                    _INCOMPLETE_UPLOAD_DAYS
                ),
            ),
        ],
    )
    if bucket.policy:
        # Data that is kept stays TLS-only.
        bucket.policy.apply_removal_policy(removal_policy)
    cdk.Validations.of(bucket).acknowledge(
        cdk.Acknowledgment(
            id="AwsSolutions-S1",
            reason=(
                "Server access logs need a log bucket and a retention that belong to "
                "the account, not to a pipeline; the bucket is private, and CloudTrail "
                "data events cover it where the account records them."
            ),
        )
    )
    return bucket


def _expire(
    rule_id: str, prefix: str, expiration: cdk.Duration
) -> list[s3.LifecycleRule]:
    """Expire a folder of a versioned bucket for good.

    Expiry alone only adds delete markers: the data lives on as noncurrent versions,
    and the markers for ever. S3 takes the clean-up of markers in a rule of its own.
    """
    return [
        s3.LifecycleRule(
            id=rule_id,
            prefix=prefix,
            expiration=expiration,
            noncurrent_version_expiration=cdk.Duration.days(_NONCURRENT_DAYS),
        ),
        s3.LifecycleRule(
            id=f"{rule_id}-DeleteMarkers",
            prefix=prefix,
            expired_object_delete_marker=True,
        ),
    ]


def _check_bucket(scope: Construct, name: str, bucket: s3.IBucket) -> None:
    stack = cdk.Stack.of(scope)
    _validation.check_same_place(name, bucket.env.account, bucket.env.region, stack)
    if _is_kms_encrypted(stack, bucket):
        raise ValueError(
            f"{name} is encrypted with a KMS key, which this version of "
            "BatchSegmentPipeline does not grant to Personalize; pass a bucket with "
            "S3-managed encryption"
        )


def _is_kms_encrypted(stack: cdk.Stack, bucket: s3.IBucket) -> bool:
    """Tell whether a bucket uses KMS, with a key of its own or that of S3.

    Of an imported bucket only its key is known, if that was given.
    """
    if bucket.encryption_key is not None:
        return True
    resource = bucket.node.default_child
    if resource is None or not s3.CfnBucket.is_cfn_bucket(resource):
        return False
    encryption = stack.resolve(cast("s3.CfnBucket", resource).bucket_encryption)
    return "aws:kms" in json.dumps(encryption, default=str)


def _name(bucket: s3.IBucket) -> str:
    if _validation.is_token(bucket.bucket_name):
        return _LONGEST_BUCKET_NAME
    return bucket.bucket_name
