"""The policies of resources: of buckets, queues, topics, functions and keys."""

from collections.abc import Callable, Mapping
from typing import Final

from moto.awslambda.models import lambda_backends
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from cdk_personalize_segments.local.policies import Document
from cdk_personalize_segments.local.untyped import Moto


def policies_of(arn: str) -> list[str | Document]:
    """Give the policies of a resource; none if it has none, or does not exist.

    Args:
        arn: The resource's ARN.
    """
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[2] not in _POLICIES:
        return []
    policy = _POLICIES[parts[2]](*parts[3:])
    return [policy] if policy else []


def key_of(arn: str) -> str:
    """Give the ARN of the key that encrypts a topic or queue; empty if none does.

    Args:
        arn: The ARN of the topic or queue, or of something else.
    """
    _, _, service, region, account, name, *_ = [*arn.split(":"), *[""] * 6]
    encrypted: Moto = None
    if service == "sns":
        encrypted = sns_backends[account][region].topics.get(arn)
    elif service == "sqs":
        encrypted = sqs_backends[account][region].queues.get(name)
    key = str((encrypted and encrypted.kms_master_key_id) or "")
    if not key or key.startswith("arn:"):
        return key
    resource = key if key.startswith("alias/") else f"key/{key}"
    return f"arn:aws:kms:{region}:{account}:{resource}"


def bucket(name: str) -> Moto:
    """Give a bucket, or None."""
    if name not in s3_backends.bucket_accounts:
        return None
    partition, account = s3_backends.bucket_accounts[name]
    return s3_backends[account][partition].get_bucket(name)


def _bucket_policy(_: str, __: str, resource: str) -> str | None:
    found = bucket(resource.partition("/")[0])
    return found.policy.decode() if found is not None and found.policy else None


def _queue_policy(region: str, account: str, name: str) -> str | None:
    queue = sqs_backends[account][region].queues.get(name)
    return queue.policy if queue is not None else None


def _topic_policy(region: str, account: str, name: str) -> str | None:
    arn = f"arn:aws:sns:{region}:{account}:{name}"
    topic = sns_backends[account][region].topics.get(arn)
    return topic.policy if topic is not None else None


def _function_policy(region: str, account: str, resource: str) -> Document | None:
    name = resource.split(":")[1]
    stored = lambda_backends[account][region]._lambdas._functions.get(name)
    latest = stored and stored["latest"]
    return {"Statement": latest.policy.statements} if latest else None


def _key_policy(region: str, account: str, resource: str) -> str | None:
    backend = kms_backends[account][region]
    try:
        key_id = backend.any_id_to_key_id(f"arn:aws:kms:{region}:{account}:{resource}")
    except KeyError:
        return None
    key = backend.keys.get(key_id)
    return key.policy if key is not None else None


_POLICIES: Final[Mapping[str, Callable[[str, str, str], str | Document | None]]] = {
    "kms": _key_policy,
    "lambda": _function_policy,
    "s3": _bucket_policy,
    "sns": _topic_policy,
    "sqs": _queue_policy,
}
