"""The CloudFormation API, with stacks of our own behind it.

moto's own stacks are not used: they count unknown resources as created, leave
properties out, and do not roll back.
"""

import json
import re
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlparse

from flask import Flask
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse, EmptyResult
from moto.core.utils import convert_to_flask_response
from moto.moto_server.werkzeug_app import BackendRequest

from cdk_personalize_segments.local.changes import ChangeSet, foresee
from cdk_personalize_segments.local.descriptions import (
    describe_change,
    describe_change_set,
    describe_parameters,
    describe_resource,
    describe_stack,
    describe_tags,
)
from cdk_personalize_segments.local.stacks import (
    Deployment,
    Region,
    Stack,
)
from cdk_personalize_segments.local.templates import Scope, Template, TemplateError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from cdk_personalize_segments.local.aws import LocalAws

_NO_CHANGES: Final = (
    "The submitted information didn't contain changes. Submit different information "
    "to create a change set."
)
# Has no effect in one account that nobody else uses.
_WITHOUT_EFFECT: Final = frozenset(
    {
        "ClientRequestToken",
        "ClientToken",
        "DeploymentConfig",
        "Description",
        "IncludeNestedStacks",
        "IncludePropertyValues",
        "NextToken",
        "RoleARN",
        "TemplateStage",
        "TemplateSummaryConfig",
    }
)
_NOT_UPDATABLE: Final = frozenset(
    {
        "DELETE_FAILED",
        "ROLLBACK_COMPLETE",
        "ROLLBACK_FAILED",
        "UPDATE_ROLLBACK_FAILED",
    }
)
_STACK_NAME: Final = re.compile("[a-zA-Z][-a-zA-Z0-9]{0,127}")
_TEMPLATE: Final = frozenset({"TemplateBody", "TemplateURL", "UsePreviousTemplate"})
_DEPLOYMENT: Final = _TEMPLATE | {"Capabilities", "StackName", "Parameters", "Tags"}
_IAM_NAMES: Final = frozenset({"ManagedPolicyName", "RoleName"})


class CloudFormation:
    """The service: stacks and change sets of every Region."""

    def __init__(self, aws: "LocalAws") -> None:
        """Begin without stacks.

        Args:
            aws: The local AWS.
        """
        self._aws = aws
        self._regions: dict[str, Region] = {}
        self.change_sets: list[ChangeSet] = []
        # Deployments run one after the other; looking at them is always possible.
        self.lock = threading.RLock()

    def region(self, name: str) -> Region:
        """Give the stacks of a Region."""
        return self._regions.setdefault(name, Region(self._aws, name))

    def drop_change_sets(self, stack: Stack, but: ChangeSet | None = None) -> None:
        """Forget the change sets of a stack, but one."""
        self.change_sets = [
            each for each in self.change_sets if each.stack is not stack or each is but
        ]


def install(aws: "LocalAws") -> None:
    """Answer the CloudFormation API.

    Args:
        aws: The local AWS.
    """
    service = CloudFormation(aws)

    class Api(CloudFormationApi):
        """The API of this account."""

        cloudformation = service

    aws.add_middleware(lambda application: _answering(application, Api))


def _answering(
    application: "WSGIApplication", api: "type[CloudFormationApi]"
) -> "WSGIApplication":
    """Answer before moto does: to import its CloudFormation takes a second."""
    ours = Flask(__name__)
    ours.request_class = BackendRequest
    # The server tells errors in the service's protocol.
    ours.config["PROPAGATE_EXCEPTIONS"] = True
    ours.add_url_rule(
        "/", view_func=convert_to_flask_response(api.dispatch), methods=["GET", "POST"]
    )

    def answer(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        signed_for = environ.get("HTTP_AUTHORIZATION", "")
        is_ours = "/cloudformation/aws4_request" in signed_for
        return (ours if is_ours else application)(environ, start_response)

    return answer


class CloudFormationError(ServiceException):
    """What a request is refused with."""


class CloudFormationApi(BaseResponse):
    """One request; moto calls the method that is named as the operation."""

    cloudformation: CloudFormation

    def __init__(self) -> None:
        """Have moto parse the parameters by the service's model."""
        super().__init__(service_name="cloudformation")
        self.automated_parameter_parsing = True

    # --- Change sets ---

    def create_change_set(self) -> ActionResult:
        """CreateChangeSet."""
        self._accept(
            {*_DEPLOYMENT, "ChangeSetName", "ChangeSetType", "ImportExistingResources"}
        )
        kind = self._get_param("ChangeSetType", "UPDATE")
        if kind not in ("CREATE", "UPDATE"):
            raise _invalid(f"local AWS does not honour change sets of type {kind}")
        name = self._get_param("StackName")
        stack = self._region.find(name)
        if kind == "UPDATE":
            stack = self._find(name)
        elif stack is not None and stack.status != "REVIEW_IN_PROGRESS":
            raise _invalid(
                f"Stack {stack.id} already exists and cannot be created again"
            )
        previous = stack
        stack = stack or self._new_stack(name)
        try:
            change_set = self._change_set(stack)
        except CloudFormationError:
            if previous is None:
                self._region.stacks.remove(stack)
            raise
        self.cloudformation.change_sets.append(change_set)
        return ActionResult({"Id": change_set.id, "StackId": stack.id})

    def _change_set(self, stack: Stack) -> ChangeSet:
        template = self._template(stack)
        self._check_capabilities(template)
        inputs = self._inputs(stack, template)
        tags = self._tags(stack)
        try:
            scope = self._region.scope(stack, template, inputs)
            changes = [
                describe_change(stack, each)
                for each in foresee(self._region, stack, scope, tags)
            ]
        except TemplateError as error:
            raise _invalid(str(error)) from None
        same = (
            not changes
            and stack.template is not None
            and _is_same(stack, template, inputs, tags, scope)
        )
        name = self._get_param("ChangeSetName")
        if any(
            each.stack is stack and each.name == name
            for each in self.cloudformation.change_sets
        ):
            raise CloudFormationError(
                "AlreadyExistsException",
                f"ChangeSet {name} cannot be created due to a mismatch with existing "
                "attribute Template",
            )
        arn = f"arn:aws:cloudformation:{self.region}:{self.current_account}"
        return ChangeSet(
            id=f"{arn}:changeSet/{name}/{self._region.aws.new_id(stack.id)}",
            name=name,
            stack=stack,
            template=template,
            inputs=inputs,
            tags=tags,
            changes=changes,
            created=stack.next_moment(),
            status="FAILED" if same else "CREATE_COMPLETE",
            execution_status="UNAVAILABLE" if same else "AVAILABLE",
            adopts=self._get_bool_param("ImportExistingResources", False),
            status_reason=_NO_CHANGES if same else None,
        )

    def describe_change_set(self) -> ActionResult:
        """DescribeChangeSet."""
        self._accept({"ChangeSetName", "StackName"})
        change_set = self._find_change_set()
        return ActionResult(
            {
                **describe_change_set(change_set),
                "Parameters": describe_parameters(
                    change_set.template, change_set.inputs
                ),
                "Tags": describe_tags(change_set.tags),
                "Changes": change_set.changes,
            }
        )

    def list_change_sets(self) -> ActionResult:
        """ListChangeSets."""
        self._accept({"StackName"})
        stack = self._find(self._get_param("StackName"))
        return ActionResult(
            {
                "Summaries": [
                    describe_change_set(each)
                    for each in self.cloudformation.change_sets
                    if each.stack is stack
                ]
            }
        )

    def execute_change_set(self) -> ActionResult:
        """ExecuteChangeSet, which ends when the stack has ended."""
        self._accept({"ChangeSetName", "StackName", "DisableRollback"})
        change_set = self._find_change_set()
        if change_set.execution_status != "AVAILABLE":
            raise CloudFormationError(
                "InvalidChangeSetStatus",
                f"ChangeSet [{change_set.id}] cannot be executed in its current status "
                f"of [{change_set.status}]",
            )
        change_set.execution_status = "EXECUTE_COMPLETE"
        # The others are not valid for what the stack becomes.
        self.cloudformation.drop_change_sets(change_set.stack, but=change_set)
        self._deploy(
            change_set.stack,
            change_set.template,
            change_set.inputs,
            change_set.tags,
            adopts=change_set.adopts,
        )
        return EmptyResult()

    def delete_change_set(self) -> ActionResult:
        """DeleteChangeSet."""
        self._accept({"ChangeSetName", "StackName"})
        try:
            self.cloudformation.change_sets.remove(self._find_change_set())
        except CloudFormationError:
            # Deleting what is not there succeeds.
            self._find(self._get_param("StackName"))
        return EmptyResult()

    # --- Stacks ---

    def create_stack(self) -> ActionResult:
        """CreateStack, which ends when the stack has ended."""
        self._accept({*_DEPLOYMENT, "DisableRollback", "EnableTerminationProtection"})
        name = self._get_param("StackName")
        if self._region.find(name) is not None:
            raise CloudFormationError(
                "AlreadyExistsException", f"Stack [{name}] already exists"
            )
        stack = self._new_stack(name)
        try:
            template = self._template(stack)
            self._check_capabilities(template)
            inputs = self._inputs(stack, template)
            self._check(stack, template, inputs)
        except CloudFormationError:
            self._region.stacks.remove(stack)
            raise
        stack.protected = self._get_bool_param("EnableTerminationProtection", False)
        self._deploy(stack, template, inputs, self._tags(stack))
        return ActionResult({"StackId": stack.id})

    def update_stack(self) -> ActionResult:
        """UpdateStack, which ends when the stack has ended."""
        self._accept({*_DEPLOYMENT, "DisableRollback"})
        stack = self._find(self._get_param("StackName"))
        template = self._template(stack)
        self._check_capabilities(template)
        inputs, tags = self._inputs(stack, template), self._tags(stack)
        scope = self._check(stack, template, inputs)
        if _is_same(stack, template, inputs, tags, scope):
            raise _invalid("No updates are to be performed.")
        self._deploy(stack, template, inputs, tags)
        return ActionResult({"StackId": stack.id})

    def delete_stack(self) -> ActionResult:
        """DeleteStack, which ends when the stack has ended."""
        self._accept({"StackName", "RetainResources", "DeletionMode"})
        if self._get_param("DeletionMode", "STANDARD") != "STANDARD":
            raise _invalid("local AWS does not honour DeletionMode")
        stack = self._region.find(self._get_param("StackName"))
        if stack is None or stack.deleted is not None:
            return EmptyResult()
        if stack.protected:
            raise _invalid(
                f"Stack [{stack.name}] cannot be deleted while TerminationProtection "
                "is enabled"
            )
        retained = frozenset(self._get_param("RetainResources", []))
        with self.cloudformation.lock:
            try:
                Deployment(self._region, stack).delete(retained)
            except TemplateError as error:
                raise _invalid(str(error)) from None
        if stack.status == "DELETE_COMPLETE":
            self.cloudformation.drop_change_sets(stack)
        return EmptyResult()

    def continue_update_rollback(self) -> ActionResult:
        """ContinueUpdateRollback, which ends when the stack has ended."""
        self._accept({"StackName", "ResourcesToSkip"})
        skipped = frozenset(self._get_param("ResourcesToSkip", []))
        self._roll_back({"UPDATE_ROLLBACK_FAILED"}, skipped)
        return EmptyResult()

    def rollback_stack(self) -> ActionResult:
        """RollbackStack, which ends when the stack has ended."""
        self._accept({"StackName"})
        stack = self._roll_back({"CREATE_FAILED", "UPDATE_FAILED"})
        return ActionResult({"StackId": stack.id})

    def _roll_back(
        self, statuses: set[str], skipped: frozenset[str] = frozenset()
    ) -> Stack:
        stack = self._find(self._get_param("StackName"))
        if stack.status not in statuses:
            raise _invalid(
                f"Stack:{stack.id} is in {stack.status} state and can not be rolled "
                "back."
            )
        with self.cloudformation.lock:
            Deployment(self._region, stack).roll_back(skipped)
        return stack

    def describe_stacks(self) -> ActionResult:
        """DescribeStacks."""
        self._accept({"StackName"})
        name = self._get_param("StackName")
        stacks = [self._find(name)] if name else self._region.living()
        return ActionResult({"Stacks": [describe_stack(stack) for stack in stacks]})

    def list_stacks(self) -> ActionResult:
        """ListStacks."""
        self._accept({"StackStatusFilter"})
        wanted = self._get_param("StackStatusFilter", [])
        return ActionResult(
            {
                "StackSummaries": [
                    describe_stack(stack)
                    for stack in self._region.stacks
                    if not wanted or stack.status in wanted
                ]
            }
        )

    def describe_stack_events(self) -> ActionResult:
        """DescribeStackEvents, the newest first."""
        self._accept({"StackName"})
        stack = self._find(self._get_param("StackName"))
        return ActionResult({"StackEvents": stack.events[::-1]})

    def describe_stack_resources(self) -> ActionResult:
        """DescribeStackResources."""
        self._accept({"StackName", "LogicalResourceId", "PhysicalResourceId"})
        stack = self._find(self._get_param("StackName"))
        wanted = self._get_param("LogicalResourceId")
        physical = self._get_param("PhysicalResourceId")
        return ActionResult(
            {
                "StackResources": [
                    {
                        "StackName": stack.name,
                        "StackId": stack.id,
                        "Timestamp": resource.since,
                        **describe_resource(resource),
                    }
                    for logical_id, resource in stack.resources.items()
                    if wanted in (None, logical_id)
                    and physical in (None, resource.physical_id)
                ]
            }
        )

    def describe_stack_resource(self) -> ActionResult:
        """DescribeStackResource."""
        self._accept({"StackName", "LogicalResourceId"})
        stack = self._find(self._get_param("StackName"))
        logical_id = self._get_param("LogicalResourceId")
        if logical_id not in stack.resources:
            raise _invalid(
                f"Resource {logical_id} does not exist for stack {stack.name}"
            )
        resource = stack.resources[logical_id]
        return ActionResult(
            {
                "StackResourceDetail": {
                    "StackName": stack.name,
                    "StackId": stack.id,
                    "LastUpdatedTimestamp": resource.since,
                    **describe_resource(resource),
                }
            }
        )

    def list_stack_resources(self) -> ActionResult:
        """ListStackResources."""
        self._accept({"StackName"})
        stack = self._find(self._get_param("StackName"))
        return ActionResult(
            {
                "StackResourceSummaries": [
                    {
                        "LastUpdatedTimestamp": resource.since,
                        **describe_resource(resource),
                    }
                    for resource in stack.resources.values()
                ]
            }
        )

    def get_template(self) -> ActionResult:
        """GetTemplate."""
        self._accept({"StackName"})
        stack = self._find(self._get_param("StackName"))
        return ActionResult(
            {
                "TemplateBody": stack.template.body if stack.template else "",
                "StagesAvailable": ["Original", "Processed"],
            }
        )

    def get_template_summary(self) -> ActionResult:
        """GetTemplateSummary."""
        self._accept({*_TEMPLATE, "StackName"})
        name = self._get_param("StackName")
        template = self._template(self._find(name) if name else None)
        metadata = template.content.get("Metadata")
        return ActionResult(
            {
                "Description": template.description,
                "Metadata": json.dumps(metadata) if metadata else None,
                "Parameters": [
                    {
                        "ParameterKey": key,
                        "ParameterType": parameter["Type"],
                        "DefaultValue": parameter.get("Default"),
                        "Description": parameter.get("Description"),
                    }
                    for key, parameter in template.parameters.items()
                ],
                "ResourceTypes": sorted(
                    {each.type for each in template.resources.values()}
                ),
            }
        )

    def list_exports(self) -> ActionResult:
        """ListExports."""
        self._accept(set())
        return ActionResult(
            {
                "Exports": [
                    {"ExportingStackId": stack.id, "Name": name, "Value": value}
                    for stack in self._region.living()
                    for name, value in stack.exports.items()
                ]
            }
        )

    def list_imports(self) -> ActionResult:
        """ListImports."""
        self._accept({"ExportName"})
        name = self._get_param("ExportName")
        return ActionResult(
            {
                "Imports": [
                    stack.name
                    for stack in self._region.living()
                    if name in stack.imports
                ]
            }
        )

    def update_termination_protection(self) -> ActionResult:
        """UpdateTerminationProtection."""
        self._accept({"StackName", "EnableTerminationProtection"})
        stack = self._find(self._get_param("StackName"))
        stack.protected = self._get_bool_param("EnableTerminationProtection", False)
        return ActionResult({"StackId": stack.id})

    # --- Shared ---

    @property
    def _region(self) -> Region:
        return self.cloudformation.region(self.region)

    def _accept(self, honoured: set[str] | frozenset[str]) -> None:
        """Refuse parameters that would not take effect."""
        config = self._get_param("DeploymentConfig", {})
        if config.get("Mode", "STANDARD") != "STANDARD":
            raise _invalid("local AWS does not honour the parameter DeploymentConfig")
        for name, value in self._get_params().items():
            if value and name not in honoured and name not in _WITHOUT_EFFECT:
                raise _invalid(f"local AWS does not honour the parameter {name}")

    def _find(self, name_or_id: str) -> Stack:
        stack = self._region.find(name_or_id)
        if stack is None:
            raise _invalid(f"Stack with id {name_or_id} does not exist")
        return stack

    def _new_stack(self, name: str) -> Stack:
        if not _STACK_NAME.fullmatch(name):
            raise _invalid(
                f"1 validation error detected: Value '{name}' at 'stackName' failed to "
                "satisfy constraint: Member must satisfy regular expression pattern: "
                f"{_STACK_NAME.pattern}"
            )
        return self._region.add(name)

    def _find_change_set(self) -> ChangeSet:
        name, stack = self._get_param("ChangeSetName"), self._get_param("StackName")
        for change_set in reversed(self.cloudformation.change_sets):
            of_stack = stack in (change_set.stack.name, change_set.stack.id)
            if change_set.id == name or (change_set.name == name and of_stack):
                return change_set
        raise CloudFormationError(
            "ChangeSetNotFound", f"ChangeSet [{name}] does not exist"
        )

    def _template(self, stack: Stack | None) -> Template:
        body, url = self._get_param("TemplateBody"), self._get_param("TemplateURL")
        if body is None and url is None:
            if stack is None or stack.template is None:
                raise _invalid(
                    "Either Template URL or Template Body must be specified."
                )
            return stack.template
        if body is None:
            bucket, key = _place_of_template(url)
            client = self.cloudformation.region(self.region).aws.client("s3")
            body = client.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        try:
            return Template(body)
        except TemplateError as error:
            raise _invalid(str(error)) from None

    def _check_capabilities(self, template: Template) -> None:
        """Refuse what a template may do to IAM only if a deployment says so.

        Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/
        API_CreateStack.html ("Capabilities").
        """
        iam = [
            each
            for each in template.resources.values()
            if each.type.startswith("AWS::IAM::")
        ]
        allowed = {"CAPABILITY_NAMED_IAM"}
        if not any(_IAM_NAMES & each.properties.keys() for each in iam):
            allowed.add("CAPABILITY_IAM")
        if iam and not allowed & {*self._get_param("Capabilities", [])}:
            raise CloudFormationError(
                "InsufficientCapabilitiesException",
                f"Requires capabilities : [{min(allowed)}]",
            )

    def _inputs(self, stack: Stack, template: Template) -> dict[str, str]:
        inputs = {}
        for parameter in self._get_param("Parameters", []):
            key = parameter["ParameterKey"]
            if parameter.get("UsePreviousValue"):
                if key in stack.inputs:
                    inputs[key] = stack.inputs[key]
            else:
                inputs[key] = parameter.get("ParameterValue", "")
        return inputs

    def _tags(self, stack: Stack) -> dict[str, str]:
        given = self._get_param("Tags")
        if given is None:
            return dict(stack.tags)
        return {tag["Key"]: tag["Value"] for tag in given}

    def _check(
        self, stack: Stack, template: Template, inputs: Mapping[str, str]
    ) -> Scope:
        try:
            return self._region.scope(stack, template, inputs)
        except TemplateError as error:
            raise _invalid(str(error)) from None

    def _deploy(
        self,
        stack: Stack,
        template: Template,
        inputs: Mapping[str, str],
        tags: Mapping[str, str],
        *,
        adopts: bool = False,
    ) -> None:
        stack.role_arn = self._get_param("RoleARN") or stack.role_arn
        if stack.status in _NOT_UPDATABLE:
            raise _invalid(
                f"Stack:{stack.id} is in {stack.status} state and can not be updated."
            )
        with self.cloudformation.lock:
            Deployment(self._region, stack, adopts=adopts).deploy(
                template,
                inputs,
                tags,
                rollback=not self._get_bool_param("DisableRollback", False),
            )


def _invalid(message: str) -> CloudFormationError:
    return CloudFormationError("ValidationError", message)


def _place_of_template(url: str) -> tuple[str, str]:
    """Give bucket and key of an address, path style or virtual-hosted style."""
    parsed = urlparse(url)
    host, path = parsed.hostname or "", unquote(parsed.path.lstrip("/"))
    bucket, separator, rest = host.partition(".s3")
    if separator and rest[:1] in (".", "-"):
        return bucket, path
    if host.endswith(".localhost"):
        return host.removesuffix(".localhost"), path
    bucket, _, key = path.partition("/")
    return bucket, key


def _is_same(
    stack: Stack,
    template: Template,
    inputs: Mapping[str, str],
    tags: Mapping[str, str],
    scope: Scope,
) -> bool:
    """Tell whether a stack has all that already, values of parameters included."""
    return (
        stack.template is not None
        and stack.template.content == template.content
        and (stack.inputs, stack.tags) == (inputs, tags)
        and stack.values == scope.values
    )
