"""Holds role sessions to their roles: every request of one is evaluated.

Policies are read from moto's IAM and the resources at each request. Requests with
other credentials are the developer's, who may do everything, and so may sessions of the
roles that the CDK bootstraps for its own CLI: they call what no pipeline does. Requests
to S3 without credentials need a bucket's policy that allows everybody. A service or an
operation whose actions are not known here is refused by name.

Local requests count as made over TLS, so that buckets that demand it work.
"""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

from moto.iam.access_control import PermissionResult
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.s3.models import FakeBucket, FakeDeleteMarker
from moto.utilities.utils import get_partition

from cdk_personalize_segments.local import patching
from cdk_personalize_segments.local.actions import needed_by
from cdk_personalize_segments.local.calls import (
    Call,
    Needed,
    UnmappedRequestError,
    read_call,
)
from cdk_personalize_segments.local.policies import (
    Context,
    Principal,
    Request,
    UnsupportedPolicyError,
    Verdict,
    evaluate,
)
from cdk_personalize_segments.local.resource_policies import bucket, policies_of
from cdk_personalize_segments.local.sessions import Session

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from cdk_personalize_segments.local.aws import LocalAws

# Marks the roles that the CDK CLI assumes, in the template that it bootstraps from.
_BOOTSTRAP_TAG: Final = "aws-cdk:bootstrap-role"
# What every request has, whoever makes it.
_COMMON: Final = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
# Whose policy it is, by the service in the ARN.
_HOLDERS: Final = {
    "kms": "key",
    "lambda": "function",
    "s3": "bucket",
    "sns": "topic",
    "sqs": "queue",
}


class AccessDenied(Exception):  # noqa: N818
    """A request is not allowed; the text is that of the error answer."""


def install(aws: "LocalAws") -> None:
    """Look at every request before moto does.

    Args:
        aws: The local AWS.
    """

    def decided_here(*_: object) -> PermissionResult:
        return PermissionResult.PERMITTED

    # moto takes a Deny whose condition does not hold for one that does.
    patching.patch(FakeBucket, "get_permission", decided_here)
    aws.add_middleware(lambda application: wsgi(application, aws))


def wsgi(application: "WSGIApplication", aws: "LocalAws") -> "WSGIApplication":
    """Wrap a server so that requests of role sessions need their role's permission.

    Args:
        application: The server.
        aws: The local AWS, whose sessions tell which credentials are whose.
    """

    def enforced(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        call = read_call(environ)
        try:
            _check_call(aws, call)
        except AccessDenied as denied:
            return _refuse(call, start_response, "AccessDenied", str(denied))
        except (UnmappedRequestError, UnsupportedPolicyError) as error:
            return _refuse(call, start_response, "NotImplemented", str(error))
        return application(environ, start_response)

    return enforced


def _check_call(aws: "LocalAws", call: Call) -> None:
    session = aws.sessions.of(call.access_key) if call.access_key else None
    if call.assumes:
        _check_assumed(aws, call, session)
    elif not call.access_key:
        for needed in needed_by(call, aws.account_id):
            _check_anonymous(needed)
    elif session is not None and not _is_bootstrapped(aws, session):
        for needed in needed_by(call, aws.account_id):
            _check_needed(aws, session, needed)


def check(
    aws: "LocalAws",
    *,
    role_arn: str,
    action: str,
    resource: str,
    context: Context | None = None,
    session: Session | None = None,
) -> None:
    """Check that a role may do something.

    Its policies must allow it, or the policy of the resource concerned, and neither
    may deny it; a permissions boundary must allow it as well.

    Args:
        aws: The local AWS.
        role_arn: The role.
        action: Like `s3:GetObject`.
        resource: The ARN, or `*` where the action has no resource.
        context: Condition keys besides those that every request has.
        session: Who acts as the role; None for a service that does.

    Raises:
        AccessDenied: It may not.
        UnsupportedPolicyError: A policy uses what is not evaluated.
    """
    role = _role(aws, role_arn)
    if role is None:
        raise AccessDenied(f"The role {role_arn} does not exist.")
    actor = (session or Session(role_arn)).arn
    request = Request(action, resource, _context(aws, role_arn, context))
    principal = Principal("AWS", frozenset({role_arn, actor}), aws.account_id)
    by_role = evaluate(_identity_policies(role), request)
    by_resource = evaluate(policies_of(resource), request, principal)
    boundary = _boundary(aws, role)
    by_boundary = evaluate(boundary, request) if boundary else Verdict.ALLOWED
    if by_role is Verdict.DENIED:
        reason = "with an explicit deny in an identity-based policy"
    elif by_resource is Verdict.DENIED:
        reason = "with an explicit deny in a resource-based policy"
    elif by_boundary is not Verdict.ALLOWED:
        reason = f"because no permissions boundary allows the {action} action"
    elif Verdict.ALLOWED in {by_role, by_resource}:
        return
    else:
        reason = f"because no identity-based policy allows the {action} action"
    raise AccessDenied(
        f"User: {actor} is not authorized to perform: {action} on resource: "
        f"{resource} {reason}"
    )


def _context(aws: "LocalAws", role_arn: str, context: Context | None) -> Context:
    return {
        **_COMMON,
        "aws:PrincipalArn": role_arn,
        "aws:PrincipalAccount": aws.account_id,
        "aws:PrincipalType": "AssumedRole",
        "aws:RequestedRegion": aws.region,
        "aws:ResourceAccount": aws.account_id,
        **(context or {}),
    }


def check_bucket_policy(
    aws: "LocalAws",
    *,
    service: str,
    action: str,
    bucket: str,
    key: str | None = None,
    context: Context | None = None,
) -> None:
    """Check that a bucket's policy lets a service do something.

    Args:
        aws: The local AWS.
        service: The service principal, like `personalize.amazonaws.com`.
        action: Like `s3:GetObject`.
        bucket: The bucket's name.
        key: The object's key, or None for an action on the bucket.
        context: Condition keys that the service sends.

    Raises:
        AccessDenied: It does not.
        UnsupportedPolicyError: The policy uses what is not evaluated.
    """
    arn = f"arn:{get_partition(aws.region)}:s3:::{bucket}"
    check_service(
        aws,
        service=service,
        action=action,
        resource=arn if key is None else f"{arn}/{key}",
        context=context,
    )


def check_service(
    aws: "LocalAws",
    *,
    service: str,
    action: str,
    resource: str,
    context: Context | None = None,
) -> None:
    """Check that a resource's policy lets a service do something.

    Args:
        aws: The local AWS.
        service: The service principal, like `events.amazonaws.com`.
        action: Like `sqs:SendMessage`.
        resource: The ARN of a bucket, object, queue, topic, function or key.
        context: Condition keys that the service sends.

    Raises:
        AccessDenied: It does not.
        UnsupportedPolicyError: The policy uses what is not evaluated.
    """
    request = Request(
        action,
        resource,
        {
            **_COMMON,
            "aws:PrincipalIsAWSService": "true",
            "aws:PrincipalServiceName": service,
            "aws:ResourceAccount": aws.account_id,
            **(context or {}),
        },
    )
    principal = Principal("Service", frozenset({service}))
    verdict = evaluate(policies_of(resource), request, principal)
    if verdict is not Verdict.ALLOWED:
        sent = ", ".join(sorted(context or {})) or "no source and no prefix"
        kind = resource.split(":")[2]
        raise AccessDenied(
            f"{service} is {verdict.value} of the {_HOLDERS.get(kind, kind)} policy to "
            f"perform: {action} on resource: {resource} (request with {sent})"
        )


def check_assumable(
    aws: "LocalAws", *, role_arn: str, service: str, context: Context | None = None
) -> None:
    """Check that a role's trust policy lets a service assume it.

    Args:
        aws: The local AWS.
        role_arn: The role.
        service: The service principal.
        context: Condition keys that the service sends.

    Raises:
        AccessDenied: There is no such role, or it does not.
        UnsupportedPolicyError: The policy uses what is not evaluated.
    """
    role = _role(aws, role_arn)
    if role is None:
        raise AccessDenied(f"The role {role_arn} does not exist.")
    request = Request("sts:AssumeRole", role_arn, {**_COMMON, **(context or {})})
    principal = Principal("Service", frozenset({service}))
    trust = [role.assume_role_policy_document]
    if evaluate(trust, request, principal) is not Verdict.ALLOWED:
        sent = ", ".join(sorted(context or {})) or "no source"
        raise AccessDenied(
            f"{service} is not authorized to assume the role {role_arn}: its trust "
            f"policy does not allow it (request with {sent})"
        )


def _check_assumed(aws: "LocalAws", call: Call, session: Session | None) -> None:
    """Check that the developer, or a session, may assume a role.

    A trust policy that names the session's role is enough; one that names the account
    leaves it to the policies of that role, and lets the developer.
    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    """
    role_arn = call.form.get("RoleArn", "")
    role = _role(aws, role_arn)
    actor = session.arn if session else developer_arn(aws)
    denied = AccessDenied(
        f"User: {actor} is not authorized to perform: sts:AssumeRole on resource: "
        f"{role_arn}"
    )
    if role is None:
        raise denied
    context = {
        f"sts:{name}": call.form[name]
        for name in ("ExternalId", "RoleSessionName")
        if name in call.form
    }
    caller = session.role_arn if session else actor
    request = Request("sts:AssumeRole", role_arn, _context(aws, caller, context))
    trust, names = [role.assume_role_policy_document], {actor, caller}
    by_name = Principal("AWS", frozenset(names), aws.account_id)
    root = f"arn:{get_partition(aws.region)}:iam::{aws.account_id}:root"
    by_account = Principal(
        "AWS", frozenset({*names, aws.account_id, root}), aws.account_id
    )
    if evaluate(trust, request, by_account) is not Verdict.ALLOWED:
        raise denied
    named = evaluate(trust, request, by_name) is Verdict.ALLOWED
    if session is not None and not named and not _is_bootstrapped(aws, session):
        _check_needed(aws, session, Needed("sts:AssumeRole", role_arn, context))


def _check_anonymous(needed: Needed) -> None:
    request = Request(needed.action, needed.resource, {**_COMMON, **needed.context})
    nobody = Principal("AWS", frozenset())
    if evaluate(policies_of(needed.resource), request, nobody) is not Verdict.ALLOWED:
        raise AccessDenied("Access Denied")


def _is_bootstrapped(aws: "LocalAws", session: Session) -> bool:
    role = _role(aws, session.role_arn)
    return role is not None and any(tag["Key"] == _BOOTSTRAP_TAG for tag in role.tags)


def developer_arn(aws: "LocalAws") -> str:
    """Name the developer as GetCallerIdentity does.

    Args:
        aws: The local AWS.
    """
    return f"arn:{get_partition(aws.region)}:sts::{aws.account_id}:user/moto"


def _check_needed(aws: "LocalAws", session: Session, needed: Needed) -> None:
    check(
        aws,
        role_arn=session.role_arn,
        action=needed.action,
        resource=needed.resource,
        context=needed.context,
        session=session,
    )
    if needed.action == "s3:GetObject":
        _check_absence(aws, session, needed.resource)


def _check_absence(aws: "LocalAws", session: Session, object_arn: str) -> None:
    """Let only those who may list a bucket learn that an object is not there.

    S3 decides as if the key were the prefix of a listing: so people observed who
    grant listing by prefix, and so Ceph and Kopia rely on.
    """
    bucket_arn, _, key = object_arn.partition("/")
    holder = bucket(bucket_arn.partition(":s3:::")[2])
    found = holder.keys.get(key) if holder is not None else True
    if found is None or isinstance(found, FakeDeleteMarker):
        needed = Needed("s3:ListBucket", bucket_arn, {"s3:prefix": key})
        _check_needed(aws, session, needed)


def _role(aws: "LocalAws", role_arn: str) -> Any:  # noqa: ANN401
    try:
        return _iam(aws).get_role_by_arn(role_arn)
    except NotFoundException:
        return None


def _iam(aws: "LocalAws") -> Any:  # noqa: ANN401
    return iam_backends[aws.account_id][get_partition(aws.region)]


def _identity_policies(role: Any) -> list[str]:  # noqa: ANN401
    managed = [_document(policy) for policy in role.managed_policies.values()]
    return [*role.policies.values(), *managed]


def _document(policy: Any) -> str:  # noqa: ANN401
    """Return the version of a managed policy that is in force."""
    versions = {each.version_id: each.document for each in policy.versions}
    return str(versions[policy.default_version_id])


def _boundary(aws: "LocalAws", role: Any) -> list[str]:  # noqa: ANN401
    if not role.permissions_boundary_arn:
        return []
    return [_document(_iam(aws).get_policy(role.permissions_boundary_arn))]


def _refuse(
    call: Call, start_response: "StartResponse", code: str, message: str
) -> Iterable[bytes]:
    status = {"AccessDenied": "403 Forbidden", "NotImplemented": "501 Not Implemented"}
    body, content_type = _error_body(call, code, message)
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    if content_type != _XML:
        headers.append(("x-amzn-ErrorType", _json_code(code)))
    start_response(status[code], headers)
    return [] if call.method == "HEAD" else [body]


_XML: Final = "application/xml"
# The services whose errors are read as XML, besides S3.
_QUERY: Final = ("cloudformation", "iam", "sns", "sts")


def _error_body(call: Call, code: str, message: str) -> tuple[bytes, str]:
    error = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    if call.service == "s3":
        return f"<Error>{error}</Error>".encode(), _XML
    if call.service in _QUERY:
        return f"<ErrorResponse><Error>{error}</Error></ErrorResponse>".encode(), _XML
    answer: Mapping[str, str] = {"__type": _json_code(code), "message": message}
    return json.dumps(answer).encode(), "application/x-amz-json-1.1"


def _json_code(code: str) -> str:
    return "AccessDeniedException" if code == "AccessDenied" else code
