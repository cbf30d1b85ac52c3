"""Options that several commands have."""

from enum import StrEnum
from typing import Annotated

import typer

from cdk_personalize_segments._runtime import limits
from cdk_personalize_segments.cli import costs
from cdk_personalize_segments.cli.account import Account
from cdk_personalize_segments.cli.pipelines import Pipeline, Wanted, find

_PANEL = "Which pipeline"

Profile = Annotated[
    str | None,
    typer.Option(
        help="The profile with the AWS credentials. Default: the environment's.",
        rich_help_panel=_PANEL,
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        help="The AWS Region. Default: the profile's or the environment's.",
        rich_help_panel=_PANEL,
    ),
]
Stack = Annotated[
    str | None,
    typer.Option(
        envvar="PERSONALIZE_SEGMENTS_STACK",
        help="The stack with the pipeline. Default: any stack of the account and "
        "Region, if there is just one pipeline.",
        rich_help_panel=_PANEL,
    ),
]
PipelinePath = Annotated[
    str | None,
    typer.Option(
        "--pipeline",
        envvar="PERSONALIZE_SEGMENTS_PIPELINE",
        help="The pipeline's path in the app, or a part of it, where a stack has "
        "several.",
        rich_help_panel=_PANEL,
    ),
]
StateMachine = Annotated[
    str | None,
    typer.Option(
        envvar="PERSONALIZE_SEGMENTS_STATE_MACHINE",
        help="The ARN of the pipeline's state machine, instead of a stack.",
        rich_help_panel=_PANEL,
    ),
]

FilterExpression = Annotated[
    str | None,
    typer.Option(
        help="The expression of the run's filter, whose placeholders the queries' "
        "filterValues must fill. Default: a run without a filter."
    ),
]
NumResults = Annotated[
    int,
    typer.Option(
        help="Users per segment.",
        min=limits.MIN_NUM_RESULTS,
        max=limits.MAX_NUM_RESULTS,
    ),
]
PersonalizePrice = Annotated[
    costs.PersonalizePrice | None,
    typer.Option(
        parser=costs.price,
        metavar="USD/UNIT",
        help="What Personalize charges, to be part of the cost of RUN: 0.05/query for "
        "each query that was sent, 0.05/1000-users for users in the results, or "
        "0.05/run. See https://aws.amazon.com/personalize/pricing/. Default: cost is "
        "told without it.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


class Recipe(StrEnum):
    """The recipes that batch segment jobs can use."""

    ITEM_AFFINITY = "item-affinity"
    ITEM_ATTRIBUTE_AFFINITY = "item-attribute-affinity"

    @property
    def full_name(self) -> str:
        """The recipe's name in Personalize."""
        return {
            Recipe.ITEM_AFFINITY: limits.ITEM_AFFINITY,
            Recipe.ITEM_ATTRIBUTE_AFFINITY: limits.ITEM_ATTRIBUTE_AFFINITY,
        }[self]


def pipeline_of(
    profile: str | None,
    region: str | None,
    stack: str | None,
    pipeline: str | None,
    state_machine: str | None,
) -> Pipeline:
    """Find the pipeline that a command's options mean.

    Raises:
        CliError: There is none, or several.
    """
    return find(Account(profile, region), Wanted(stack, pipeline, state_machine))
