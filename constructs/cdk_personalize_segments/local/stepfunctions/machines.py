"""State machines and their versions, which moto keeps.

https://docs.aws.amazon.com/step-functions/latest/dg/concepts-state-machine-version.html
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from moto.core.exceptions import AWSError
from moto.stepfunctions.exceptions import (
    InvalidEncryptionConfiguration,
    StateMachineDoesNotExist,
    ValidationException,
)
from moto.stepfunctions.models import StepFunctionBackend

from cdk_personalize_segments.local import enforcement, log_groups
from cdk_personalize_segments.local.patching import patch
from cdk_personalize_segments.local.policies import UnsupportedPolicyError
from cdk_personalize_segments.local.stepfunctions.checks import InvalidDefinitionError
from cdk_personalize_segments.local.stepfunctions.definition import parse, states_of
from cdk_personalize_segments.local.stepfunctions.ids import new_uuid
from cdk_personalize_segments.local.stepfunctions.integrations import SYNC, SYNC_2
from cdk_personalize_segments.local.stepfunctions.logs import group_of
from cdk_personalize_segments.local.stepfunctions.nested import (
    MANAGED_RULE,
    MANAGED_RULE_ACTIONS,
)
from cdk_personalize_segments.local.stepfunctions.pages import page
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

_INITIAL: Final = "INITIAL"
_VERSION: Final = re.compile(r"(?P<machine>.+):(?P<number>[1-9]\d*)")
_LONGEST_DEFINITION: Final = 1024 * 1024
_LOG_DELIVERY_ACTIONS: Final = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
)
LOG_LEVELS: Final = ("ALL", "ERROR", "FATAL", "OFF")
"""What a state machine can log."""


class InvalidDefinition(AWSError):  # noqa: N818
    """A definition is refused."""

    TYPE = "InvalidDefinition"


class InvalidLoggingConfiguration(AWSError):  # noqa: N818
    """A logging configuration is refused."""

    TYPE = "InvalidLoggingConfiguration"


class StateMachineAlreadyExists(AWSError):  # noqa: N818
    """There is another state machine of that name."""

    TYPE = "StateMachineAlreadyExists"


class StateMachineTypeNotSupported(AWSError):  # noqa: N818
    """Local AWS does not run machines of that type."""

    TYPE = "StateMachineTypeNotSupported"


class Conflict(AWSError):  # noqa: N818
    """A revision is not the one that was asked for."""

    TYPE = "ConflictException"


class AccessDenied(AWSError):  # noqa: N818
    """A role may not do what its machine needs."""

    TYPE = "AccessDeniedException"


def install(aws: "LocalAws") -> None:
    """Check machines before moto keeps them.

    Args:
        aws: The local AWS.
    """
    create = StepFunctionBackend.create_state_machine
    update = StepFunctionBackend.update_state_machine
    revisions = aws.chance("revisions of state machines")

    def create_state_machine(
        backend: Moto,
        name: str,
        definition: str,
        roleArn: str,  # noqa: N803
        **others: Moto,
    ) -> Moto:
        if others.get("sm_type") == "EXPRESS":
            raise StateMachineTypeNotSupported(
                f"local AWS runs STANDARD state machines only, and {name} is EXPRESS"
            )
        backend._validate_name(name)
        logging = others.get("loggingConfiguration")
        _check(aws, backend, definition, roleArn, logging)
        _check_log_delivery(aws, roleArn, logging)
        _check_encryption(others.get("encryptionConfiguration"))
        known = {machine.name: machine for machine in backend.state_machines}
        if name in known and not _is_same(known[name], definition, roleArn, others):
            raise StateMachineAlreadyExists(
                f"State Machine Already Exists: '{known[name].arn}'"
            )
        machine: Moto = create(backend, name, definition, roleArn, **others)
        if name not in known:
            machine.creation_date = machine.update_date = aws.clock.now()
            machine.revision = _INITIAL
            _date_versions(aws, machine)
        return machine

    def update_state_machine(
        backend: Moto,
        arn: str,
        definition: str | None = None,
        role_arn: str | None = None,
        **others: Moto,
    ) -> Moto:
        machine = find(backend, arn)
        publish = others.pop("publish", None)
        text = others.pop("version_description", None)
        _check_encryption(others.get("encryption_configuration"))
        role = role_arn or machine.roleArn
        logging = others.get("logging_configuration")
        _check(
            aws,
            backend,
            machine.definition if definition is None else definition,
            role,
            logging,
        )
        _check_log_delivery(aws, role, logging or machine.loggingConfiguration)
        before = (machine.definition, machine.roleArn)
        update(backend, arn, definition, role_arn, **others)
        machine.update_date = aws.clock.now()
        # What else is changed makes no new revision.
        if (machine.definition, machine.roleArn) != before:
            machine.revision = new_uuid(revisions)
        if publish:
            _publish(aws, machine, text)
        return machine

    patch(StepFunctionBackend, "create_state_machine", create_state_machine)
    patch(StepFunctionBackend, "update_state_machine", update_state_machine)


class Machines:
    """The operations on machines that moto has not, or not wholly."""

    def __init__(self, aws: "LocalAws") -> None:
        """Look at the machines of a local AWS.

        Args:
            aws: The local AWS.
        """
        self._aws = aws

    def describe_state_machine(self, backend: Moto, request: Moto) -> dict[str, Any]:
        """Answer DescribeStateMachine, for a machine or a version."""
        machine = backend.describe_state_machine(request._get_param("stateMachineArn"))
        told = {
            "stateMachineArn": machine.arn,
            "name": machine.name,
            "status": "ACTIVE",
            "definition": machine.definition,
            "roleArn": machine.roleArn,
            "type": machine.type,
            "creationDate": machine.creation_date,
            "loggingConfiguration": machine.loggingConfiguration,
            "tracingConfiguration": machine.tracingConfiguration,
            "encryptionConfiguration": machine.encryptionConfiguration,
            "revisionId": machine.revision,
            "description": machine.description,
        }
        return {name: value for name, value in told.items() if value is not None}

    def publish_state_machine_version(
        self, backend: Moto, request: Moto
    ) -> dict[str, Any]:
        """Answer PublishStateMachineVersion."""
        machine = find(backend, request._get_param("stateMachineArn"))
        revision = request._get_param("revisionId")
        if revision is not None and revision != machine.revision:
            raise Conflict(
                f"Failed to publish the State Machine version for revision {revision}. "
                f"The current State Machine revision is {machine.revision}."
            )
        version = _publish(self._aws, machine, request._get_param("description"))
        return {
            "creationDate": version.creation_date,
            "stateMachineVersionArn": version.arn,
        }

    def list_state_machine_versions(
        self, backend: Moto, request: Moto
    ) -> dict[str, Any]:
        """Answer ListStateMachineVersions, newest first."""
        machine = find(backend, request._get_param("stateMachineArn"))
        versions = [
            {
                "stateMachineVersionArn": version.arn,
                "creationDate": version.creation_date,
            }
            for _, version in sorted(machine.versions.items(), reverse=True)
        ]
        return page(request, "stateMachineVersions", versions)

    def delete_state_machine_version(
        self, backend: Moto, request: Moto
    ) -> dict[str, Any]:
        """Answer DeleteStateMachineVersion, also for one that is not there."""
        arn = request._get_param("stateMachineVersionArn")
        parts = _VERSION.fullmatch(arn)
        if parts is None:
            raise ValidationException(f"Invalid State Machine Version Arn: '{arn}'")
        for machine in backend.state_machines:
            if machine.arn == parts["machine"]:
                machine.versions.pop(int(parts["number"]), None)
        return {}

    def validate_state_machine_definition(
        self, _: Moto, request: Moto
    ) -> dict[str, Any]:
        """Answer ValidateStateMachineDefinition.

        Local AWS stops at the first mistake, and has no warnings.
        """
        if request._get_param("type") == "EXPRESS":
            raise StateMachineTypeNotSupported(
                "local AWS validates definitions of STANDARD state machines only"
            )
        try:
            parse(request._get_param("definition"))
        except InvalidDefinitionError as error:
            told = {
                "severity": "ERROR",
                "code": error.code,
                "message": error.message,
                "location": error.location,
            }
            diagnostic = {
                name: value for name, value in told.items() if value is not None
            }
            return {"result": "FAIL", "diagnostics": [diagnostic], "truncated": False}
        return {"result": "OK", "diagnostics": [], "truncated": False}


def find(backend: Moto, arn: str) -> Moto:
    """Give a machine, not a version.

    Args:
        backend: moto's backend.
        arn: Its ARN.

    Raises:
        StateMachineDoesNotExist: There is none.
    """
    for machine in list(backend.state_machines):
        if machine.arn == arn:
            return machine
    raise StateMachineDoesNotExist(f"State Machine Does Not Exist: '{arn}'")


def _publish(aws: "LocalAws", machine: Moto, description: str | None) -> Moto:
    """Publish a version, unless the newest one is the same.

    It is idempotent while the revision stays the same, as in
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_PublishStateMachineVersion.html.
    """
    newest = machine.versions.get(machine.latest_version_number)
    if newest is None or newest.revision != machine.revision:
        machine.publish(description)
        _date_versions(aws, machine)
    return machine.latest_version


def _date_versions(aws: "LocalAws", machine: Moto) -> None:
    for version in machine.versions.values():
        if not hasattr(version, "revision"):
            version.creation_date = version.update_date = aws.clock.now()
            version.revision = machine.revision


def _check(
    aws: "LocalAws",
    backend: Moto,
    definition: str,
    role_arn: str,
    logging: Mapping[str, Any] | None,
) -> None:
    backend._validate_role_arn(role_arn)
    if len(definition) > _LONGEST_DEFINITION:
        raise ValidationException(
            "Value at 'definition' failed to satisfy constraint: Member must have "
            f"length less than or equal to {_LONGEST_DEFINITION}"
        )
    try:
        machine = parse(definition)
    except InvalidDefinitionError as error:
        raise InvalidDefinition(
            f"Invalid State Machine Definition: '{error}'"
        ) from None
    _check_logging(backend, logging)
    _check_managed_rule(aws, backend, machine, role_arn)


def _check_managed_rule(
    aws: "LocalAws", backend: Moto, machine: Mapping[str, Any], role_arn: str
) -> None:
    """Check that a role may have Step Functions watch what it waits for."""
    if not any(
        str(state.get("Resource")).endswith((SYNC, SYNC_2))
        for state in states_of(machine)
    ):
        return
    rule = (
        f"arn:{backend.partition}:events:{backend.region_name}:{backend.account_id}:"
        f"rule/{MANAGED_RULE}"
    )
    for action in MANAGED_RULE_ACTIONS:
        try:
            enforcement.check(aws, role_arn=role_arn, action=action, resource=rule)
        except (enforcement.AccessDenied, UnsupportedPolicyError) as denied:
            raise AccessDenied(
                f"'{role_arn}' is not authorized to create managed-rule: {denied}"
            ) from None


def _check_logging(backend: Moto, configuration: Mapping[str, Any] | None) -> None:
    if not configuration:
        return
    level = configuration.get("level", "OFF")
    if level not in LOG_LEVELS:
        raise InvalidLoggingConfiguration(
            f"Invalid Logging Configuration: there is no level {level}"
        )
    if level == "OFF":
        return
    group = group_of(configuration)
    if group is None:
        raise InvalidLoggingConfiguration(
            "Invalid Logging Configuration: Must specify exactly one Log Destination."
        )
    if not log_groups.exists(backend.account_id, backend.region_name, group):
        raise InvalidLoggingConfiguration(
            f"Invalid Logging Configuration: there is no log group {group}"
        )


def _check_log_delivery(
    aws: "LocalAws", role_arn: str, configuration: Mapping[str, Any] | None
) -> None:
    """Check that a role may have its machine's logs delivered.

    It needs all of what is documented, on all resources:
    https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
    """
    if not configuration or configuration.get("level", "OFF") == "OFF":
        return
    for action in _LOG_DELIVERY_ACTIONS:
        try:
            enforcement.check(aws, role_arn=role_arn, action=action, resource="*")
        except (enforcement.AccessDenied, UnsupportedPolicyError) as denied:
            raise AccessDenied(
                "The state machine IAM Role is not authorized to access the Log "
                f"Destination: {denied}"
            ) from None


def _check_encryption(configuration: Mapping[str, Any] | None) -> None:
    if configuration and configuration.get("type") != "AWS_OWNED_KEY":
        raise InvalidEncryptionConfiguration(
            "Invalid Encryption Configuration: local AWS keeps executions under "
            "AWS_OWNED_KEY only"
        )


def _is_same(
    machine: Moto, definition: str, role_arn: str, others: Mapping[str, Any]
) -> bool:
    return bool(
        machine.definition == definition
        and machine.roleArn == role_arn
        and machine.loggingConfiguration
        == (others.get("loggingConfiguration") or {"level": "OFF"})
        and machine.tracingConfiguration
        == (others.get("tracingConfiguration") or {"enabled": False})
    )
