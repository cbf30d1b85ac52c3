"""CloudFormation templates: reading, intrinsic functions, conditions, order.

What is not understood is refused by name, never passed over. Source of the syntax:
the CloudFormation user guide's "Template reference".
"""

import base64
import graphlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol

import yaml  # type: ignore[import-untyped]

from cdk_personalize_segments.local.untyped import Json

SECTIONS: Final = frozenset(
    {
        "AWSTemplateFormatVersion",
        "Conditions",
        "Description",
        "Mappings",
        "Metadata",
        "Outputs",
        "Parameters",
        "Resources",
        "Rules",
    }
)
"""The sections of templates that are honoured."""
ATTRIBUTES: Final = frozenset(
    {
        "Condition",
        "DeletionPolicy",
        "DependsOn",
        "Metadata",
        "Properties",
        "Type",
        "UpdateReplacePolicy",
    }
)
"""The attributes of resources in templates that are honoured."""
_OUTPUT: Final = frozenset({"Condition", "Description", "Export", "Value"})
_PARAMETER: Final = frozenset(
    {
        "AllowedPattern",
        "AllowedValues",
        "ConstraintDescription",
        "Default",
        "Description",
        "MaxLength",
        "MaxValue",
        "MinLength",
        "MinValue",
        "NoEcho",
        "Type",
    }
)
_ALPHANUMERIC: Final = re.compile(r"[A-Za-z0-9]+")
POLICIES: Final = frozenset({"Delete", "Retain", "RetainExceptOnCreate"})
"""The values of DeletionPolicy and UpdateReplacePolicy that are honoured."""
_SUB: Final = re.compile(r"\$\{(!?)([^}]+)\}")
REFERENCES: Final = ("ssm",)
"""The services that dynamic references are honoured to."""
_REFERENCE: Final = re.compile(
    rf"\{{\{{resolve:(?:{'|'.join(REFERENCES)}):([^{{}}:]+(?::\d+)?)\}}\}}"
)
_NO_VALUE: Final = object()
NO_VALUE: Final = "AWS::NoValue"
"""The pseudo parameter that leaves out what it is the value of."""


class TemplateError(Exception):
    """A template is malformed, or uses what local AWS does not honour."""


@dataclass(frozen=True)
class Declaration:
    """A resource as a template declares it."""

    logical_id: str
    type: str
    properties: dict[str, Any]
    depends_on: frozenset[str]
    condition: str | None
    deletion_policy: str
    update_replace_policy: str


class Resources(Protocol):
    """What a template's references to resources and exports mean."""

    def ref(self, logical_id: str) -> str:
        """Give the value of `Ref`."""

    def attribute(self, logical_id: str, name: str) -> str:
        """Give the value of `Fn::GetAtt`."""

    def imported(self, export: str) -> str:
        """Give the value of `Fn::ImportValue`."""

    def stack_output(self, stack: str, output: str, region: str) -> str:
        """Give the value of `Fn::GetStackOutput`."""

    def parameter(self, name: str) -> str:
        """Give the value of `{{resolve:ssm:name}}`."""


class Template:
    """A parsed template."""

    def __init__(self, body: str) -> None:
        """Parse a template.

        Args:
            body: JSON or YAML.

        Raises:
            TemplateError: It is no template, or has sections or resource attributes
                that are not honoured.
        """
        self.body = body
        self.content: dict[str, Any] = _parse(body)
        _refuse_unknown("template section", self.content, SECTIONS)
        if not self.content.get("Resources"):
            raise TemplateError(
                "Template format error: At least one Resources member must be defined."
            )
        self.resources = {
            logical_id: _declare(logical_id, declaration)
            for logical_id, declaration in self.content["Resources"].items()
        }
        for name, parameter in self.parameters.items():
            _refuse_unknown(f"attribute of parameter {name}:", parameter, _PARAMETER)
        for name, output in self.outputs.items():
            _refuse_unknown(f"attribute of output {name}:", output, _OUTPUT)
            if "Value" not in output:
                raise TemplateError(
                    f"Template format error: Output {name} must contain a Value"
                )

    @property
    def description(self) -> str | None:
        """What it is."""
        return self.content.get("Description")

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """The parameters as declared."""
        return self.content.get("Parameters") or {}

    @property
    def outputs(self) -> dict[str, dict[str, Any]]:
        """The outputs as declared."""
        return self.content.get("Outputs") or {}

    @property
    def rules(self) -> dict[str, dict[str, Any]]:
        """The rules as declared."""
        return self.content.get("Rules") or {}


@dataclass
class Scope:
    """Evaluates values of one template with the values of one deployment.

    Attributes:
        template: The template.
        values: Parameters and pseudo parameters.
    """

    template: Template
    values: Mapping[str, Any]
    _conditions: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every rule and condition, and that all references exist."""
        for name in self.template.content.get("Conditions") or {}:
            self.condition(name)
        for name, rule in self.template.rules.items():
            self._check_rule(name, rule)
        for declaration in self.active():
            for needed in self.dependencies(declaration):
                target = self.template.resources.get(needed)
                if target is None or not self.is_active(target):
                    raise TemplateError(
                        "Template format error: Unresolved resource dependencies "
                        f"[{needed}] in the Resources block of the template"
                    )

    # --- Conditions ---

    def is_active(self, declaration: Declaration) -> bool:
        """Tell whether a resource's condition holds."""
        return declaration.condition is None or self.condition(declaration.condition)

    def active(self) -> list[Declaration]:
        """Give the resources whose conditions hold."""
        return [
            each for each in self.template.resources.values() if self.is_active(each)
        ]

    def condition(self, name: str) -> bool:
        """Evaluate a named condition."""
        if name not in self._conditions:
            conditions = self.template.content.get("Conditions") or {}
            if name not in conditions:
                raise TemplateError(
                    f"Template format error: Unresolved condition {name!r}"
                )
            self._conditions[name] = self._holds(conditions[name])
        return self._conditions[name]

    def _holds(self, expression: Json) -> bool:
        name, argument = _single(expression)
        if name not in CONDITION_FUNCTIONS:
            raise TemplateError(
                f"local AWS does not honour {name or expression!r} in a condition"
            )
        return CONDITION_FUNCTIONS[name](self, argument)

    def _all(self, conditions: list[Any]) -> bool:
        # Every one first, since what is wrong in any of them is refused.
        held = [self._holds(each) for each in conditions]
        return all(held)

    def _any(self, conditions: list[Any]) -> bool:
        held = [self._holds(each) for each in conditions]
        return any(held)

    def _not(self, conditions: list[Any]) -> bool:
        return not self._holds(conditions[0])

    def _equals(self, values: list[Any]) -> bool:
        first, second = (self.resolve(each) for each in values)
        return text_of(first) == text_of(second)

    def _contains(self, argument: list[Any]) -> bool:
        values, value = (self.resolve(each) for each in argument)
        return text_of(value) in [text_of(each) for each in values]

    def _check_rule(self, name: str, rule: Mapping[str, Any]) -> None:
        _refuse_unknown("rule attribute", rule, {"Assertions", "RuleCondition"})
        if "RuleCondition" in rule and not self._holds(rule["RuleCondition"]):
            return
        for assertion in rule["Assertions"]:
            if not self._holds(assertion["Assert"]):
                raise TemplateError(
                    f"Template validation error: Rule {name} failed: "
                    f"{assertion.get('AssertDescription', assertion['Assert'])}"
                )

    # --- Order ---

    def order(self) -> list[Declaration]:
        """Give the active resources, each after those that it needs."""
        active = {each.logical_id: each for each in self.active()}
        # Sorted, since the order must not depend on how sets are laid out.
        graph = {name: sorted(self.dependencies(each)) for name, each in active.items()}
        try:
            return [
                active[name]
                for name in graphlib.TopologicalSorter(graph).static_order()
            ]
        except graphlib.CycleError as error:
            raise TemplateError(
                "Circular dependency between resources: "
                f"[{', '.join(dict.fromkeys(error.args[1]))}]"
            ) from None

    def dependencies(self, declaration: Declaration) -> set[str]:
        """Give the logical ids that a resource needs."""
        explicit = {
            name
            for name in declaration.depends_on
            if name not in self.template.resources
            or self.is_active(self.template.resources[name])
        }
        return explicit | set(self._references(declaration.properties))

    def _references(self, value: Json) -> Iterator[str]:
        if isinstance(value, list):
            for each in value:
                yield from self._references(each)
        elif isinstance(value, dict):
            name, argument = _single(value)
            if name == "Ref":
                if argument not in self.values and not argument.startswith("AWS::"):
                    yield argument
            elif name == "Fn::GetAtt":
                yield _attribute(argument)[0]
            elif name == "Fn::If":
                yield from self._references(self._branch(argument))
            elif name == "Fn::Sub":
                yield from self._sub_references(argument)
            else:
                for each in value.values():
                    yield from self._references(each)

    def _sub_references(self, argument: Json) -> Iterator[str]:
        text, variables = argument if isinstance(argument, list) else (argument, {})
        yield from self._references(list(variables.values()))
        for literal, name in _SUB.findall(text):
            known = name in variables or name in self.values or "::" in name
            if not literal and not known:
                yield name.split(".", 1)[0]

    # --- Values ---

    def shape(self, value: Json) -> Json:
        """Give a value with its conditions decided, and nothing else resolved."""
        if isinstance(value, list):
            shaped = [self.shape(each) for each in value]
            return [each for each in shaped if each is not _NO_VALUE]
        if isinstance(value, dict):
            name, argument = _single(value)
            if name == "Fn::If":
                return self.shape(self._branch(argument))
            if name == "Ref" and argument == NO_VALUE:
                return _NO_VALUE
            if name is not None:
                return f"<{name}>"
            shaped_items = {key: self.shape(each) for key, each in value.items()}
            return {k: v for k, v in shaped_items.items() if v is not _NO_VALUE}
        return value

    def resolve(self, value: Json, resources: Resources | None = None) -> Json:
        """Evaluate a value.

        Args:
            value: Jsonthing in a template.
            resources: What references mean, or None where none are allowed.

        Raises:
            TemplateError: It has a function that is not honoured, or cannot be
                evaluated.
        """
        return self._follow(self._evaluate(value, resources), resources)

    def _evaluate(self, value: Json, resources: Resources | None) -> Json:
        if isinstance(value, list):
            evaluated = [self._evaluate(each, resources) for each in value]
            return [each for each in evaluated if each is not _NO_VALUE]
        if isinstance(value, dict):
            name, argument = _single(value)
            if name is not None:
                return self._call(name, argument, resources)
            items = {
                key: self._evaluate(each, resources) for key, each in value.items()
            }
            return {key: each for key, each in items.items() if each is not _NO_VALUE}
        return value

    def _follow(self, value: Json, resources: Resources | None) -> Json:
        """Follow dynamic references, which functions may have put together."""
        if isinstance(value, str):
            return self._dynamic(value, resources)
        if isinstance(value, list):
            return [self._follow(each, resources) for each in value]
        if isinstance(value, dict):
            return {key: self._follow(each, resources) for key, each in value.items()}
        return value

    def _dynamic(self, text: str, resources: Resources | None) -> str:
        """Put in what dynamic references to parameters mean.

        Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/
        dynamic-references-ssm.html.
        """
        text = _REFERENCE.sub(
            lambda match: _needed(resources, match[0]).parameter(match[1]), text
        )
        if "{{resolve:" in text:
            raise TemplateError(
                f"local AWS does not honour the dynamic reference in {text!r}; "
                "pass the value as a parameter"
            )
        return text

    def _call(self, name: str, argument: Json, resources: Resources | None) -> Json:
        if name not in FUNCTIONS:
            raise TemplateError(f"local AWS does not honour the function {name}")
        return FUNCTIONS[name](self, argument, resources)

    def _ref(self, name: str, resources: Resources | None) -> Json:
        if name == NO_VALUE:
            return _NO_VALUE
        if name in self.values:
            return self.values[name]
        if name.startswith("AWS::"):
            raise TemplateError(f"local AWS does not honour the parameter {name}")
        return _needed(resources, f"Ref to {name}").ref(name)

    def _get_att(self, argument: Json, resources: Resources | None) -> str:
        return _needed(resources, "Fn::GetAtt").attribute(*_attribute(argument))

    def _if(self, argument: list[Any], resources: Resources | None) -> Json:
        return self._evaluate(self._branch(argument), resources)

    def _join(self, argument: list[Any], resources: Resources | None) -> str:
        separator, values = argument
        joined: str = separator.join(
            text_of(each) for each in self._evaluate(values, resources)
        )
        return joined

    def _split(self, argument: list[Any], resources: Resources | None) -> Json:
        separator, value = argument
        return self._evaluate(value, resources).split(separator)

    def _select(self, argument: list[Any], resources: Resources | None) -> Json:
        index, values = (self._evaluate(each, resources) for each in argument)
        if not 0 <= int(index) < len(values):
            raise TemplateError(
                "Template error: Fn::Select cannot select nonexistent value at index "
                f"{index}"
            )
        return values[int(index)]

    def _import_value(self, argument: Json, resources: Resources | None) -> str:
        name = self._evaluate(argument, resources)
        return _needed(resources, "Fn::ImportValue").imported(name)

    def _stack_output(self, argument: Json, resources: Resources | None) -> str:
        given = self._evaluate(argument, resources)
        known = {"OutputName", "Region", "StackName"}
        _refuse_unknown("argument of Fn::GetStackOutput:", given, known)
        region = given.get("Region", self.values["AWS::Region"])
        return _needed(resources, "Fn::GetStackOutput").stack_output(
            given["StackName"], given["OutputName"], region
        )

    def _base64(self, argument: Json, resources: Resources | None) -> str:
        text: str = self._evaluate(argument, resources)
        return base64.b64encode(text.encode()).decode()

    def _get_azs(self, argument: Json, resources: Resources | None) -> list[str]:
        region = self._evaluate(argument, resources) or self.values["AWS::Region"]
        return [f"{region}{zone}" for zone in "abc"]

    def _branch(self, argument: list[Any]) -> Json:
        name, then, otherwise = argument
        return then if self.condition(name) else otherwise

    def _sub(self, argument: Json, resources: Resources | None) -> str:
        text, variables = argument if isinstance(argument, list) else (argument, {})

        def replace(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in variables:
                return text_of(self._evaluate(variables[name], resources))
            if "." in name:
                return text_of(self._get_att(name, resources))
            return text_of(self._ref(name, resources))

        return _SUB.sub(replace, text)

    def _find_in_map(self, argument: list[Any], resources: Resources | None) -> Json:
        keys = [self._evaluate(each, resources) for each in argument]
        found = self.template.content.get("Mappings") or {}
        for key in keys:
            if key not in found:
                raise TemplateError(f"Template error: Unable to get mapping for {keys}")
            found = found[key]
        return found


FUNCTIONS: Final[Mapping[str, Callable[[Scope, Any, Resources | None], Json]]] = {
    "Fn::Base64": Scope._base64,
    "Fn::FindInMap": Scope._find_in_map,
    "Fn::GetAZs": Scope._get_azs,
    "Fn::GetAtt": Scope._get_att,
    "Fn::GetStackOutput": Scope._stack_output,
    "Fn::If": Scope._if,
    "Fn::ImportValue": Scope._import_value,
    "Fn::Join": Scope._join,
    "Fn::Select": Scope._select,
    "Fn::Split": Scope._split,
    "Fn::Sub": Scope._sub,
    "Ref": Scope._ref,
}
"""The functions that are honoured in values."""
CONDITION_FUNCTIONS: Final[Mapping[str | None, Callable[[Scope, Any], bool]]] = {
    "Condition": Scope.condition,
    "Fn::And": Scope._all,
    "Fn::Contains": Scope._contains,
    "Fn::Equals": Scope._equals,
    "Fn::Not": Scope._not,
    "Fn::Or": Scope._any,
}
"""The functions that are honoured in conditions and rules."""


def _parse(body: str) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError:
        try:
            content = yaml.load(body, Loader=_Loader)  # noqa: S506
        except yaml.YAMLError as error:
            raise TemplateError(f"Template format error: {error}") from None
    if not isinstance(content, dict):
        raise TemplateError("Template format error: unsupported structure.")
    return content


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads the short forms of functions, and leaves dates as text."""

    yaml_implicit_resolvers: ClassVar[Mapping[str, Any]] = {
        first: [(tag, pattern) for tag, pattern in resolvers if "timestamp" not in tag]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _construct_function(loader: Json, suffix: str, node: Json) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    return {name: value}


_Loader.add_multi_constructor("!", _construct_function)


def _declare(logical_id: str, declaration: Json) -> Declaration:
    if not isinstance(declaration, dict) or "Type" not in declaration:
        raise TemplateError(
            f"Template format error: [/Resources/{logical_id}] Every Resources object "
            "must contain a Type member."
        )
    if not _ALPHANUMERIC.fullmatch(logical_id):
        raise TemplateError(
            f"Template format error: Resource name {logical_id} is non alphanumeric."
        )
    properties = declaration.get("Properties", {})
    if not isinstance(properties, dict):
        raise TemplateError(
            f"Template format error: [/Resources/{logical_id}/Properties] must be an "
            "object"
        )
    _refuse_unknown(f"attribute of resource {logical_id}:", declaration, ATTRIBUTES)
    depends_on = declaration.get("DependsOn", [])
    deletion_policy = declaration.get("DeletionPolicy", "Delete")
    replace_policy = declaration.get("UpdateReplacePolicy", "Delete")
    for attribute, policy in (
        ("DeletionPolicy", deletion_policy),
        ("UpdateReplacePolicy", replace_policy),
    ):
        if not isinstance(policy, str):
            raise TemplateError(
                f"Template format error: Every {attribute} member must be a string, "
                f"and that of {logical_id} is not"
            )
        if policy not in POLICIES:
            raise TemplateError(
                f"local AWS does not honour the policy {policy} of {logical_id}"
            )
    return Declaration(
        logical_id=logical_id,
        type=declaration["Type"],
        properties=properties,
        depends_on=frozenset(
            [depends_on] if isinstance(depends_on, str) else depends_on
        ),
        condition=declaration.get("Condition"),
        deletion_policy=deletion_policy,
        update_replace_policy=replace_policy,
    )


def _refuse_unknown(what: str, found: Mapping[str, Any], known: Json) -> None:
    for name in found:
        if name not in known:
            raise TemplateError(f"local AWS does not honour the {what} {name}")


def _single(value: Json) -> tuple[str | None, Any]:
    """Give the function that a value calls and its argument, or None."""
    if isinstance(value, dict) and len(value) == 1:
        ((name, argument),) = value.items()
        # A policy statement's Condition is a map, a named one is text.
        named = name == "Condition" and isinstance(argument, str)
        if named or name == "Ref" or str(name).startswith("Fn::"):
            return name, argument
    return None, None


def _attribute(argument: Json) -> tuple[str, str]:
    if isinstance(argument, str):
        logical_id, _, name = argument.partition(".")
        return logical_id, name
    return argument[0], argument[1]


def _needed(resources: Resources | None, what: str) -> Resources:
    if resources is None:
        raise TemplateError(f"Template error: {what} is not allowed here")
    return resources


def text_of(value: Json) -> str:
    """Write a value as CloudFormation puts it into text.

    Args:
        value: Text, a number or a boolean.
    """
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
