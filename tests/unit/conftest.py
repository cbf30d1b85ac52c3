"""Stacks to assert on, synthesised with cdk.json's feature flags and with none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion

ROOT = Path(__file__).parents[2]
SOLUTION = "arn:aws:personalize:us-east-1:111122223333:solution/films"
VERSION = f"{SOLUTION}/a1b2c3d4"
FLAGS: dict[str, dict[str, Any]] = {
    "cdk.json": json.loads((ROOT / "cdk.json").read_text())["context"],
    "no flags": {},
}


@pytest.fixture(params=FLAGS)
def context(request):
    """The feature flags: pytest does not read cdk.json, and users have old apps."""
    return FLAGS[request.param]


@pytest.fixture
def stack():
    """A stack in no particular account or Region."""
    return new_stack(FLAGS["cdk.json"])


@pytest.fixture
def make_stack() -> Callable[..., cdk.Stack]:
    return new_stack


@pytest.fixture
def make_pipeline(stack) -> Callable[..., BatchSegmentPipeline]:
    """Define a pipeline in the stack; every property may be given."""

    def make(construct_id: str = "Segments", **properties: Any) -> BatchSegmentPipeline:
        properties.setdefault("solution_version", SolutionVersion.from_arn(VERSION))
        return BatchSegmentPipeline(stack, construct_id, **properties)

    return make


@pytest.fixture
def definition() -> Callable[[Template], dict[str, Any]]:
    """Read a state machine's definition, which is text in pieces in the template."""

    def read(template: Template, reference: str = "<{}>") -> dict[str, Any]:
        machines = template.find_resources("AWS::StepFunctions::StateMachine")
        [machine] = machines.values()
        _, pieces = machine["Properties"]["DefinitionString"]["Fn::Join"]
        text = "".join(
            piece
            if isinstance(piece, str)
            else reference.format("".join(map(str, piece.values())))
            for piece in pieces
        )
        return json.loads(text)

    return read


@pytest.fixture
def statements() -> Callable[..., list[dict[str, Any]]]:
    """Collect the statements of a role's inline policies, by the role's id."""

    def collect(template: Template, role: str) -> list[dict[str, Any]]:
        roles = template.find_resources("AWS::IAM::Role")
        [properties] = [
            each["Properties"] for name, each in roles.items() if role in name
        ]
        return [
            statement
            for policy in properties["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]

    return collect


def new_stack(context: dict[str, Any], **options: Any) -> cdk.Stack:
    app = cdk.App(context=dict(context), analytics_reporting=False)
    return cdk.Stack(
        app,
        "Films",
        synthesizer=cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        **options,
    )
