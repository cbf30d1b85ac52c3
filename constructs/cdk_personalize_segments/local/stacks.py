"""CloudFormation stacks: deploys templates, rolls back what fails, deletes.

Operations run to their end before they return, unlike in AWS, where they go on in
the background; the events are the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from cdk_personalize_segments.local.parameters import parameter_values
from cdk_personalize_segments.local.resources import find_kind, kind_of
from cdk_personalize_segments.local.resources.base import (
    Place,
    ResourceError,
    changed,
    is_gone,
)
from cdk_personalize_segments.local.resources.coercion import UnfitError
from cdk_personalize_segments.local.templates import (
    Declaration,
    Scope,
    Template,
    TemplateError,
    text_of,
)

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

_STACK_TYPE: Final = "AWS::CloudFormation::Stack"
_MOMENT: Final = timedelta(milliseconds=1)
_KEPT: Final = frozenset({"Retain", "RetainExceptOnCreate"})


@dataclass(frozen=True)
class Resource:
    """A resource as it was made."""

    declaration: Declaration
    physical_id: str
    properties: Mapping[str, Any]
    attributes: Mapping[str, str]
    since: datetime
    status: str


@dataclass
class Change:
    """One step of a deployment, and what undoes it."""

    before: Resource | None
    after: Resource
    replaced: bool

    @property
    def is_in_place(self) -> bool:
        """Whether a resource was changed, rather than a new one made."""
        return self.before is not None and not self.replaced


@dataclass
class Stack:
    """A stack, its resources and all that ever happened to it."""

    aws: "LocalAws" = field(repr=False)
    id: str
    name: str
    created: datetime
    moment: datetime
    status: str = "REVIEW_IN_PROGRESS"
    status_reason: str | None = None
    template: Template | None = None
    inputs: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: list[dict[str, str]] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    values: Mapping[str, Any] = field(default_factory=dict)
    unfinished: list[Change] = field(default_factory=list)
    updated: datetime | None = None
    deleted: datetime | None = None
    protected: bool = False
    role_arn: str | None = None

    @property
    def exports(self) -> dict[str, str]:
        """The exported outputs, by their export names."""
        return {
            output["ExportName"]: output["OutputValue"]
            for output in self.outputs
            if "ExportName" in output
        }

    def begin(self) -> None:
        """Begin an operation, a moment after all that happened to the stack before.

        The clock may stand still, and the CDK CLI tells operations apart by time.
        """
        self.moment = self.next_moment()

    def next_moment(self) -> datetime:
        """Give the time at which another operation would begin."""
        now = self.aws.clock.now()
        if not self.events:
            return now
        return max(now, self.moment + _MOMENT)

    def set_status(self, status: str, reason: str | None = None) -> None:
        """Move to another status, and say so in an event."""
        self.status, self.status_reason = status, reason
        self.record(self.name, self.id, _STACK_TYPE, status, reason)

    def record(
        self,
        logical_id: str,
        physical_id: str,
        resource_type: str,
        status: str,
        reason: str | None = None,
    ) -> None:
        """Add an event."""
        self.moment = max(self.moment, self.aws.clock.now())
        event = {
            "StackId": self.id,
            "EventId": f"{logical_id}-{self.aws.new_id(self.id)}",
            "StackName": self.name,
            "LogicalResourceId": logical_id,
            "PhysicalResourceId": physical_id,
            "ResourceType": resource_type,
            "Timestamp": self.moment,
            "ResourceStatus": status,
        }
        if reason:
            event["ResourceStatusReason"] = reason
        self.events.append(event)


class Region:
    """The stacks of one Region, and their exports."""

    def __init__(self, aws: "LocalAws", region: str) -> None:
        """Begin without stacks.

        Args:
            aws: The local AWS.
            region: The Region's name.
        """
        self.aws = aws
        self.name = region
        self.stacks: list[Stack] = []

    def add(self, name: str) -> Stack:
        """Add an empty stack."""
        resource = f"stack/{name}/{self.aws.new_id(f'stacks of {self.name}')}"
        now = self.aws.clock.now()
        stack = Stack(
            self.aws,
            id=f"arn:aws:cloudformation:{self.name}:{self.aws.account_id}:{resource}",
            name=name,
            created=now,
            moment=now,
        )
        self.stacks.append(stack)
        return stack

    def find(self, name_or_id: str) -> Stack | None:
        """Find a stack by its name, or a deleted one by its id."""
        for stack in self.stacks:
            if stack.id == name_or_id:
                return stack
            if stack.name == name_or_id and stack.deleted is None:
                return stack
        return None

    def export(self, name: str) -> str:
        """Give the value of an export."""
        for stack in self.living():
            if name in stack.exports:
                return stack.exports[name]
        raise TemplateError(f"No export named {name} found.")

    def stack_output(self, stack: str, output: str, region: str) -> str:
        """Give the value of another stack's output, of whichever Region.

        Raises:
            TemplateError: There is no such stack, or no such output.
        """
        client = self.aws.client("cloudformation", region)
        try:
            described = client.describe_stacks(StackName=stack)["Stacks"][0]
        except ClientError as error:
            raise TemplateError(error.response["Error"]["Message"]) from None
        for each in described.get("Outputs", []):
            if each["OutputKey"] == output:
                return str(each["OutputValue"])
        raise TemplateError(f"Stack {stack} has no output {output}")

    def parameter(self, name: str) -> str:
        """Give the value of a parameter of Systems Manager.

        Args:
            name: Its name, with a colon and a version where it is a certain one.

        Raises:
            TemplateError: There is none, or it is a secret.
        """
        ssm = self.aws.client("ssm", self.name)
        try:
            found = ssm.get_parameter(Name=name)["Parameter"]
        except ClientError as error:
            raise TemplateError(
                f"{{{{resolve:ssm:{name}}}}} cannot be resolved: "
                f"{error.response['Error']['Message']}"
            ) from None
        if found["Type"] == "SecureString":
            raise TemplateError(
                f"local AWS does not honour {{{{resolve:ssm:{name}}}}}, which is a "
                "SecureString"
            )
        return str(found["Value"])

    def living(self) -> list[Stack]:
        """Give the stacks that are not deleted."""
        return [stack for stack in self.stacks if stack.deleted is None]

    def importers(self, export: str, exporter: Stack) -> list[str]:
        """Name the stacks that use an export."""
        return [
            stack.name
            for stack in self.living()
            if stack is not exporter and export in stack.imports
        ]

    def scope(
        self, stack: Stack, template: Template, inputs: Mapping[str, str]
    ) -> Scope:
        """Check a template with the parameters of a stack.

        Raises:
            TemplateError: Parameters, rules, references or conditions are wrong.
        """
        pseudo = {name: give(self, stack) for name, give in PSEUDO_PARAMETERS.items()}
        values = parameter_values(
            template.parameters, inputs, self.aws.client("ssm", self.name)
        )
        scope = Scope(template, {**values, **pseudo})
        scope.order()
        return scope


PSEUDO_PARAMETERS: Final[Mapping[str, Callable[[Region, Stack], Any]]] = {
    "AWS::AccountId": lambda region, _: region.aws.account_id,
    "AWS::NotificationARNs": lambda _, __: [],
    "AWS::Partition": lambda _, __: "aws",
    "AWS::Region": lambda region, _: region.name,
    "AWS::StackId": lambda _, stack: stack.id,
    "AWS::StackName": lambda _, stack: stack.name,
    "AWS::URLSuffix": lambda _, __: "amazonaws.com",
}
"""What pseudo parameters stand for in a stack, but for AWS::NoValue."""


class Deployment:
    """One creation, update or deletion of a stack."""

    def __init__(self, region: Region, stack: Stack, *, adopts: bool = False) -> None:
        """Prepare.

        Args:
            region: The Region of the stack.
            stack: The stack.
            adopts: Whether existing buckets with explicit names are taken over.
        """
        self._region = region
        self._stack = stack
        stack.begin()
        self._place = Place(region.aws, region.name, stack.name, adopts, stack.id)
        self._resources = dict(stack.resources)
        self._imports: set[str] = set()
        # What a failure left is undone, or cleaned up, together with what follows.
        self._changes: list[Change] = list(stack.unfinished)

    def _now(self) -> datetime:
        return self._region.aws.clock.now()

    # --- What references mean (templates.Resources) ---

    def ref(self, logical_id: str) -> str:
        """Give the physical id of a resource."""
        return self._resources[logical_id].physical_id

    def attribute(self, logical_id: str, name: str) -> str:
        """Give an attribute of a resource."""
        attributes = self._resources[logical_id].attributes
        if name not in attributes:
            raise TemplateError(
                f"local AWS does not honour the attribute {name} of "
                f"{self._resources[logical_id].declaration.type} ({logical_id})"
            )
        return attributes[name]

    def imported(self, export: str) -> str:
        """Give the value of another stack's export."""
        self._imports.add(export)
        return self._region.export(export)

    def stack_output(self, stack: str, output: str, region: str) -> str:
        """Give the value of another stack's output."""
        return self._region.stack_output(stack, output, region)

    def parameter(self, name: str) -> str:
        """Give the value of a parameter of Systems Manager."""
        return self._region.parameter(name)

    # --- Create and update ---

    def deploy(
        self,
        template: Template,
        inputs: Mapping[str, str],
        tags: Mapping[str, str],
        *,
        rollback: bool = True,
    ) -> None:
        """Bring the stack to what a template says, or back to what it was.

        Args:
            template: The template.
            inputs: The parameters.
            tags: The stack's tags.
            rollback: Whether a failure is undone.
        """
        verb = "CREATE" if self._stack.status == "REVIEW_IN_PROGRESS" else "UPDATE"
        self._stack.set_status(f"{verb}_IN_PROGRESS", "User Initiated")
        try:
            scope = self._region.scope(self._stack, template, inputs)
            self._refuse_unhonoured(scope, verb)
            for declaration in scope.order():
                self._deploy_resource(scope, declaration, tags)
            outputs = self._outputs(scope)
        except Exception as error:
            self._fail(verb, _reason(error), rollback)
            return
        obsolete = self._obsolete(scope)
        self._stack.template = template
        self._stack.inputs = dict(inputs)
        self._stack.tags = dict(tags)
        self._stack.outputs = outputs
        self._stack.values = scope.values
        self._stack.unfinished = []
        self._stack.imports = self._imports
        self._stack.resources = {
            each.logical_id: self._resources[each.logical_id] for each in scope.order()
        }
        if verb == "UPDATE":
            self._stack.updated = self._now()
            self._stack.set_status("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        for resource, policy in obsolete:
            self._delete_or_keep(resource, policy)
        self._stack.set_status(f"{verb}_COMPLETE")

    def _refuse_unhonoured(self, scope: Scope, verb: str) -> None:
        """Fail, before anything is made, for all that would not take effect."""
        failed = []
        for declaration in scope.active():
            reason = _unhonoured(declaration, scope)
            if reason:
                self._record(declaration, "", f"{verb}_FAILED", reason)
                failed.append(declaration.logical_id)
        if failed:
            raise _FailedError(
                "The following resource(s) failed to "
                f"{verb.lower()}: [{', '.join(failed)}]. "
            )

    def _deploy_resource(
        self, scope: Scope, declaration: Declaration, tags: Mapping[str, str]
    ) -> None:
        logical_id = declaration.logical_id
        before = self._resources.get(logical_id)
        verb = "CREATE" if before is None else "UPDATE"
        try:
            properties = scope.resolve(declaration.properties, self)
            if kind_of(declaration).stack_tags:
                properties = with_stack_tags(properties, tags)
            if before is None or before.properties != properties:
                self._apply(declaration, before, properties)
            else:
                # Policies may differ even if no property does.
                self._resources[logical_id] = replace(before, declaration=declaration)
        except Exception as error:
            physical_id = before.physical_id if before is not None else ""
            self._record(declaration, physical_id, f"{verb}_FAILED", _reason(error))
            raise _FailedError(
                f"The following resource(s) failed to {verb.lower()}: [{logical_id}]. "
            ) from None

    def _apply(
        self,
        declaration: Declaration,
        before: Resource | None,
        properties: Mapping[str, Any],
    ) -> None:
        """Make or change a resource, noting how to undo it."""
        kind = kind_of(declaration)
        if before is None:
            self._record(declaration, "", "CREATE_IN_PROGRESS")
            self._create(declaration, before, properties)
        elif before.declaration.type != declaration.type:
            raise TemplateError(
                "Update of resource type is not permitted: it is "
                f"{before.declaration.type}, the new template has {declaration.type}"
            )
        elif changed(before.properties, properties) & kind.replaced_on:
            self._record(
                declaration,
                before.physical_id,
                "UPDATE_IN_PROGRESS",
                "Requested update requires the creation of a new physical resource; "
                "hence creating one.",
            )
            self._create(declaration, before, properties)
        else:
            self._record(declaration, before.physical_id, "UPDATE_IN_PROGRESS")
            after = replace(
                before,
                declaration=declaration,
                properties=properties,
                since=self._now(),
                status="UPDATE_COMPLETE",
            )
            # Noted first: what fails half-way is undone as well.
            self._changes.append(Change(before, after, replaced=False))
            other = kind.update(
                self._place, before.physical_id, before.properties, properties
            )
            if other is not None:
                after = replace(after, physical_id=other)
                self._changes[-1] = Change(before, after, replaced=True)
            self._finish(after)

    def _create(
        self,
        declaration: Declaration,
        before: Resource | None,
        properties: Mapping[str, Any],
    ) -> None:
        kind = kind_of(declaration)
        kind.refuse_taken(self._place, properties)
        physical_id = kind.create(self._place, declaration.logical_id, properties)
        verb = "CREATE" if before is None else "UPDATE"
        self._record(
            declaration,
            physical_id,
            f"{verb}_IN_PROGRESS",
            "Resource creation Initiated",
        )
        after = Resource(
            declaration,
            physical_id,
            properties,
            {},
            self._now(),
            f"{verb}_COMPLETE",
        )
        self._changes.append(Change(before, after, replaced=before is not None))
        self._finish(after)

    def _finish(self, after: Resource) -> None:
        attributes = kind_of(after.declaration).attributes(
            self._place, after.physical_id, after.properties
        )
        logical_id = after.declaration.logical_id
        self._resources[logical_id] = replace(after, attributes=attributes)
        self._record(after.declaration, after.physical_id, after.status)

    def _outputs(self, scope: Scope) -> list[dict[str, str]]:
        outputs = []
        for key, declared in scope.template.outputs.items():
            if "Condition" in declared and not scope.condition(declared["Condition"]):
                continue
            value = scope.resolve(declared["Value"], self)
            if isinstance(value, list | dict):
                raise TemplateError(
                    "Template format error: The Value field of every Outputs member "
                    f"must evaluate to a String, and that of {key} does not"
                )
            output = {"OutputKey": key, "OutputValue": text_of(value)}
            if "Description" in declared:
                output["Description"] = declared["Description"]
            if "Export" in declared:
                output["ExportName"] = scope.resolve(declared["Export"]["Name"], self)
            outputs.append(output)
        self._check_exports(outputs)
        return outputs

    def _check_exports(self, outputs: list[dict[str, str]]) -> None:
        exports = {
            each["ExportName"]: each["OutputValue"]
            for each in outputs
            if "ExportName" in each
        }
        for other in self._region.living():
            for name in other.exports.keys() & exports.keys():
                if other is not self._stack:
                    raise TemplateError(
                        f"Export with name {name} is already exported by stack "
                        f"{other.name}."
                    )
        for name, value in self._stack.exports.items():
            if exports.get(name) != value:
                self._refuse_if_imported(name, "update")

    def _refuse_if_imported(self, export: str, verb: str) -> None:
        importers = self._region.importers(export, self._stack)
        if importers:
            raise TemplateError(
                f"Cannot {verb} export {export} as it is in use by "
                f"{' and '.join(importers)}."
            )

    def _obsolete(self, scope: Scope) -> list[tuple[Resource, str]]:
        """Give what the new template leaves behind, dependent ones first."""
        active = {each.logical_id for each in scope.active()}
        replaced = [
            (change.before, change.after.declaration.update_replace_policy)
            for change in self._changes
            if change.replaced and change.before is not None
        ]
        removed = [
            (resource, resource.declaration.deletion_policy)
            for logical_id, resource in self._stack.resources.items()
            if logical_id not in active
        ]
        # Resources stand in the order in which they were made.
        return [*replaced, *removed][::-1]

    # --- Failure ---

    def _fail(self, verb: str, reason: str, rollback: bool) -> None:
        if not rollback:
            self._stack.resources = self._resources
            self._stack.unfinished = self._changes
            self._stack.set_status(f"{verb}_FAILED", reason)
            return
        self._roll_back(verb == "CREATE", reason)

    def roll_back(self, skipped: frozenset[str] = frozenset()) -> None:
        """Bring a stack that failed back to what it was before.

        Args:
            skipped: Logical ids of resources to leave as they are.
        """
        created = self._stack.status in ("CREATE_FAILED", "ROLLBACK_FAILED")
        self._roll_back(created, "User Initiated", skipped)

    def _roll_back(
        self, created: bool, reason: str, skipped: frozenset[str] = frozenset()
    ) -> None:
        """Undo the changes, first those of what was there before."""
        prefix = "ROLLBACK" if created else "UPDATE_ROLLBACK"
        self._stack.set_status(f"{prefix}_IN_PROGRESS", reason)
        undone = [
            change
            for change in reversed(self._changes)
            if change.after.declaration.logical_id not in skipped
        ]
        stuck = self._undo_all([each for each in undone if each.is_in_place])
        if not created and not stuck:
            self._stack.set_status("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        if created or not stuck:
            made = [each for each in undone if not each.is_in_place]
            stuck += self._undo_all(made, leaves=not created)
        else:
            stuck += [each for each in undone if not each.is_in_place]
        self._stack.resources = self._resources
        self._stack.unfinished = stuck[::-1]
        self._stack.set_status(f"{prefix}_{'FAILED' if stuck else 'COMPLETE'}")

    def _undo_all(self, changes: list[Change], *, leaves: bool = False) -> list[Change]:
        """Undo changes, and give those that could not be undone.

        Args:
            changes: The changes, the latest first.
            leaves: Whether what cannot be deleted is left behind: as in AWS, an
                update does not fail for it.
        """
        stuck = []
        for change in changes:
            logical_id = change.after.declaration.logical_id
            try:
                self._undo(change)
            except Exception as error:
                self._record(
                    change.after.declaration,
                    change.after.physical_id,
                    "UPDATE_FAILED" if change.is_in_place else "DELETE_FAILED",
                    _reason(error),
                )
                if not leaves:
                    stuck.append(change)
                    self._resources.setdefault(logical_id, change.after)
                    continue
            if change.before is None:
                self._resources.pop(logical_id, None)
            else:
                self._resources[logical_id] = change.before
        return stuck

    def _undo(self, change: Change) -> None:
        before, after = change.before, change.after
        if before is not None and change.is_in_place:
            kind_of(after.declaration).update(
                self._place, after.physical_id, after.properties, before.properties
            )
            self._record(before.declaration, before.physical_id, "UPDATE_COMPLETE")
        elif after.declaration.deletion_policy == "Retain" and before is None:
            self._record(after.declaration, after.physical_id, "DELETE_SKIPPED")
        else:
            self._delete(after)

    # --- Delete ---

    def delete(self, retained: frozenset[str] = frozenset()) -> None:
        """Delete the stack and what it does not keep.

        Args:
            retained: Logical ids to leave behind.
        """
        for export in self._stack.exports:
            self._refuse_if_imported(export, "delete")
        self._stack.set_status("DELETE_IN_PROGRESS", "User Initiated")
        failed = []
        for logical_id, resource in reversed(list(self._stack.resources.items())):
            policy = (
                "Retain"
                if logical_id in retained
                else resource.declaration.deletion_policy
            )
            if self._delete_or_keep(resource, policy):
                del self._stack.resources[logical_id]
            else:
                failed.append(logical_id)
        if failed:
            self._stack.set_status(
                "DELETE_FAILED",
                f"The following resource(s) failed to delete: [{', '.join(failed)}]. ",
            )
            return
        self._stack.outputs = []
        self._stack.imports = set()
        self._stack.deleted = self._now()
        self._stack.set_status("DELETE_COMPLETE")

    def _delete_or_keep(self, resource: Resource, policy: str) -> bool:
        if policy in _KEPT:
            self._record(resource.declaration, resource.physical_id, "DELETE_SKIPPED")
            return True
        try:
            self._delete(resource)
        except Exception as error:
            self._record(
                resource.declaration,
                resource.physical_id,
                "DELETE_FAILED",
                _reason(error),
            )
            return False
        return True

    def _delete(self, resource: Resource) -> None:
        declaration, physical_id = resource.declaration, resource.physical_id
        self._record(declaration, physical_id, "DELETE_IN_PROGRESS")
        try:
            kind_of(declaration).delete(self._place, physical_id, resource.properties)
        except ClientError as error:
            if not is_gone(error):
                raise
        self._record(declaration, physical_id, "DELETE_COMPLETE")

    def _record(
        self,
        declaration: Declaration,
        physical_id: str,
        status: str,
        reason: str | None = None,
    ) -> None:
        self._stack.record(
            declaration.logical_id, physical_id, declaration.type, status, reason
        )


class _FailedError(Exception):
    """A resource failed, and an event says why."""


def _unhonoured(declaration: Declaration, scope: Scope) -> str | None:
    kind = find_kind(declaration)
    if kind is None:
        return f"local AWS does not honour resources of type {declaration.type}"
    paths = kind.unhonoured(scope.shape(declaration.properties))
    if paths:
        return f"local AWS does not honour {', '.join(paths)} of {declaration.type}"
    return None


def with_stack_tags(
    properties: dict[str, Any], tags: Mapping[str, str]
) -> dict[str, Any]:
    """Add the stack's tags to those that a resource has of its own.

    Args:
        properties: The properties of the resource.
        tags: The tags of the stack.
    """
    own = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
    merged = {**tags, **own}
    if not merged:
        return properties
    return {
        **properties,
        "Tags": [{"Key": key, "Value": value} for key, value in merged.items()],
    }


def _reason(error: Exception) -> str:
    return " ".join([_message(error), *getattr(error, "__notes__", [])])


def _message(error: Exception) -> str:
    if isinstance(error, ClientError):
        details = error.response["Error"]
        return (
            f"{details['Message']} (Operation: {error.operation_name}; "
            f"Error Code: {details['Code']})"
        )
    if isinstance(error, KeyError):
        return f"the property {error.args[0]} is missing"
    if isinstance(error, (_FailedError, ResourceError, TemplateError, UnfitError)):
        return str(error)
    return f"{type(error).__name__}: {error}"
